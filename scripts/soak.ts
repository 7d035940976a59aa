/**
 * Two gateways on one Redis, fifty clients whose tokens live for ten seconds, a constant load, and one fault after the
 * other, at random. `node scripts/soak.ts [--seconds 300] [--seed 1]`; ends with figures, and with exit code 1 if a bound
 * is broken. What the gateways hold of the machine is compared between two moments of rest: one after a quarter of the
 * time, when all that is made once has been made, and one at the end.
 */
import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type GatewayProcess, startGatewayProcess } from '../test/faults/gateway-process.ts'
import { get } from '../test/faults/load.ts'
import { type TokenFault, tokenFault } from '../test/faults/spent-tokens.ts'
import { setup } from '../test/global-setup.ts'
import {
  answerBroken,
  answerNever,
  answerWith,
  startAuthorizationServer,
} from '../test/harness/authorization-server.ts'
import { startRedis } from '../test/harness/redis.ts'
import { createSecret, registerSecret } from '../test/harness/secrets.ts'
import { startUpstream } from '../test/harness/upstream.ts'
import { createRandom } from './random.ts'

const { values } = parseArgs({ options: { seconds: { type: 'string' }, seed: { type: 'string' } } })
const seconds = Number(values.seconds ?? 300)
const seed = Number(values.seed ?? Date.now() % 100_000)
const lifetime = 10
const perSecond = 200
const mebibyte = 1024 * 1024
if (!(seconds >= 40)) throw new RangeError('in less than 40 seconds there is nothing to compare')

/** Faults and load apart: how many requests there were must not change which fault comes next. */
const [planned, loaded] = [createRandom(seed), createRandom(seed + 1)]
const lookThroughLogs = setup()
const clients = Array.from({ length: 50 }, (_, index) => ({
  client_id: `client-${index}`,
  client_secret: createSecret(),
}))
const sso = await startAuthorizationServer({
  lifetime,
  clients,
  configure: (configuration) => ({ ...configuration, extraTokenClaims: () => ({ issued_at: Date.now() }) }),
})
let redis = await startRedis()

const arrived: Record<TokenFault | 'good' | 'refused', number> = {
  ...{ good: 0, refused: 0 },
  ...{ 'no token': 0, expired: 0, 'too late': 0 },
}
let refusing = false
const upstream = await startUpstream((_request, response, seen) => {
  const fault = tokenFault(seen, Date.now())
  const refuse = refusing || loaded() < 0.002
  arrived[fault ?? (refuse ? 'refused' : 'good')] += 1
  response.writeHead(refuse ? 401 : 200).end('welcome')
})

const yaml = `
authorization_servers: { sso: { issuer: "${sso.issuer}", timeout: 1s } }
clients:
${clients.map(({ client_id: id }, index) => `  ${id}: { authorization_server: sso, client_id: ${id}, client_secret: "\${env:SECRET_${index}}" }`).join('\n')}
token_cache: { redis: { url: "${redis.url}", encryption_keys: ["\${env:CACHE_KEY}"] } }
routes:
${clients.map(({ client_id: id }) => `  - { path: /${id}, callers: { networks: [loopback] }, token: { client: ${id} }, upstream: "${upstream.url}" }`).join('\n')}
`
const env = {
  CACHE_KEY: registerSecret(randomBytes(32).toString('base64url')),
  ...Object.fromEntries(clients.map(({ client_secret: secret }, index) => [`SECRET_${index}`, secret])),
}
/** With little room, so that what is not needed any more goes soon, and what stays is seen. */
const room = ['--max-old-space-size=64', '--max-semi-space-size=2']
const told = ['--expose-gc', '--import', new URL('tell-heap.ts', import.meta.url).href]
const gateways = await Promise.all([1, 2].map(() => startGatewayProcess(yaml, env, [...room, ...told])))

/** Each is there for so many milliseconds, and gone when it is over. */
const faults: Record<string, (milliseconds: number) => Promise<void>> = {
  async 'Redis stopped'(milliseconds) {
    await redis.kill('SIGSTOP')
    await pause(milliseconds)
    await redis.kill('SIGCONT')
  },
  async 'Redis killed'(milliseconds) {
    await redis.stop()
    await pause(milliseconds)
    redis = await startRedis({ port: redis.port })
  },
  'authorization server down': (milliseconds) => answering(answerBroken, milliseconds),
  'authorization server out of order': (milliseconds) => answering(answerWith(500, 'out of order'), milliseconds),
  'authorization server silent': (milliseconds) => answering(answerNever, milliseconds),
  'authorization server talks nonsense': (milliseconds) => answering(answerWith(200, '<html></html>'), milliseconds),
  async 'authorization server slow'(milliseconds) {
    for (let left = milliseconds; left > 0; left -= 700) {
      const release = sso.hold('token')
      await pause(700)
      release()
    }
  },
  async 'upstream refuses every token'(milliseconds) {
    refusing = true
    await pause(milliseconds)
    refusing = false
  },
}

async function answering(answer: typeof answerNever, milliseconds: number): Promise<void> {
  sso.answer('token', answer)
  await pause(milliseconds)
  sso.answer('token')
}

const statuses = new Map<string, number>()
const count = (what: string) => statuses.set(what, (statuses.get(what) ?? 0) + 1)

/** One request, of which some are given up by who sent them. */
async function sendOne(number: number, agent: Agent): Promise<void> {
  const port = gateways[number % gateways.length]?.port ?? 0
  const path = `/client-${Math.floor(loaded() * clients.length)}`
  const leaving = loaded() < 0.02 ? AbortSignal.timeout(1 + Math.floor(loaded() * 30)) : undefined
  const { status } = await get({ port, path, agent, signal: leaving })
  count(leaving?.aborted ? 'given up' : String(status))
}

const start = performance.now()
const elapsed = () => (performance.now() - start) / 1000
let sent = 0

/** The constant load, until it is stopped; then every request has been answered, and every connection of ours is closed. */
function startLoad(): () => Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 500 })
  const underWay = new Set<Promise<void>>()
  const [from, before] = [elapsed(), sent]
  const timer = setInterval(() => {
    for (; sent - before < (elapsed() - from) * perSecond && underWay.size < 500; sent++) {
      const one: Promise<void> = sendOne(sent, agent).finally(() => underWay.delete(one))
      underWay.add(one)
    }
  }, 5)
  return async () => {
    clearInterval(timer)
    await Promise.all(underWay)
    agent.destroy()
  }
}

interface Held {
  readonly heap: number
  readonly memory: number
  readonly handles: number
}

let measured = 0

/** What each gateway holds when nothing is asked of it. */
async function measure(): Promise<Held[]> {
  measured += 1
  return Promise.all(
    gateways.map(async ({ program, usage }) => {
      program.child.kill('SIGUSR2')
      const never = pause(10_000, undefined, { ref: false }).then(() => Promise.reject(new Error('no heap was told')))
      const { used, collected } = await Promise.race([program.line({ msg: 'heap', number: measured }), never])
      if (collected !== true) throw new Error('garbage was not collected')
      return { heap: Number(used), ...(await usage()) }
    }),
  )
}

const happened = new Map<string, number>()
const names = Object.keys(faults)

/** One fault after the other, by the plan, as long as the load lasts. */
async function soakFor(time: number): Promise<void> {
  const stopLoad = startLoad()
  const end = elapsed() + time
  while (elapsed() < end) {
    const [name = '', lasting, between] = [names[Math.floor(planned() * names.length)], planned(), planned()]
    happened.set(name, (happened.get(name) ?? 0) + 1)
    // Longer than half of a token's life: some run out meanwhile.
    await faults[name]?.(500 + lasting * 6500)
    await pause(between * 3000)
  }
  await stopLoad()
}

/** Once all is well again, so are all clients: the longest pause after failures is 60 s. */
async function untilWell(): Promise<number> {
  const from = elapsed()
  for (;;) {
    const answers = await Promise.all(
      gateways.flatMap(({ port }) => clients.map(({ client_id: id }) => get({ port, path: `/${id}` }))),
    )
    if (answers.every(({ status }) => status === 200) || elapsed() - from > 90) return elapsed() - from
    await pause(500)
  }
}

/** Well again, and at rest until tokens are renewed no more and idle connections are given up. */
async function untilAtRest(): Promise<number> {
  const recovery = await untilWell()
  await pause(lifetime * 1500)
  return recovery
}

await soakFor(seconds / 4)
const firstRecovery = await untilAtRest()
const before = await measure()
await soakFor((seconds * 3) / 4)
const recovery = Math.max(firstRecovery, await untilAtRest())
const after = await measure()
const lasted = elapsed()
const tokenRequests = sso.requestsTo('token').length
const lines = gateways.flatMap(({ program }: GatewayProcess) => program.lines())
const unforeseen = lines.filter(({ code }) => code === 'internal_error').length
const codes = Map.groupBy(
  lines.filter(({ msg, code }) => msg === 'request' && code !== 'ok'),
  ({ code }) => String(code),
)
const growths = (of: keyof Held) => after.map((held, index) => held[of] - (before[index]?.[of] ?? Number.NaN))
const growsBy = (of: keyof Held, most: number) => growths(of).every((growth) => growth <= most)
await Promise.all(gateways.map((gateway) => gateway.stop('SIGTERM')))
await Promise.all([sso.stop(), upstream.stop(), redis.stop()])

/** A renewal for each client in half of a life; by both gateways, while there is no Redis; and again for what failed or was refused. */
const mostTokenRequests = clients.length * (lasted / (lifetime / 2) + 1) * gateways.length * 1.5

const bounds: readonly (readonly [what: string, kept: boolean])[] = [
  ['no request without a token', arrived['no token'] === 0],
  ['no request with an expired token', arrived.expired === 0],
  ['none in the last tenth of its life', arrived['too late'] === 0],
  ['no answer but 200, 502 and 503', [...statuses.keys()].every((name) => /^(200|502|503|given up)$/.test(name))],
  ['nothing unforeseen', unforeseen === 0],
  ['all is well again within 65 s', recovery < 65],
  ['no more token requests than there is reason for', tokenRequests <= mostTokenRequests],
  ['what is alive in the heap grows by 4 MiB at most', growsBy('heap', 4 * mebibyte)],
  ['memory grows by 32 MiB at most', growsBy('memory', 32 * mebibyte)],
  ['handles grow by 4 at most', growsBy('handles', 4)],
  ['no secret in any log', isClean()],
]

function isClean(): boolean {
  try {
    lookThroughLogs()
    return true
  } catch (error) {
    process.stdout.write(`${String(error).slice(0, 2000)}\n`)
    return false
  }
}

const inMebibytes = (bytes: number) => `${(bytes / mebibyte).toFixed(1)} MiB`
const listed = (entries: Iterable<readonly [string, unknown]>) =>
  [...entries].map(([name, value]) => `${name} ${value}`).join(', ')

/** For each gateway, at both moments of rest. */
function describeHeld(of: keyof Held): string {
  const written = (value: number) => (of === 'handles' ? String(value) : inMebibytes(value))
  const each = after.map((held, index) => `${written(before[index]?.[of] ?? Number.NaN)} → ${written(held[of])}`)
  return `${`${of} at rest`.padEnd(18)}${each.join(', ')}`
}

process.stdout.write(`${seconds} s, seed ${seed}
requests          ${sent}
answers           ${listed([...statuses].sort())}
codes             ${listed([...codes].map(([code, all]) => [code, all.length] as const))}
at the upstream   ${listed(Object.entries(arrived))}
token requests    ${tokenRequests} (at most ${Math.floor(mostTokenRequests)})
${(['heap', 'memory', 'handles'] as const).map(describeHeld).join('\n')}
well again after  ${recovery.toFixed(1)} s
faults            ${listed(happened)}
${bounds.map(([what, kept]) => `${kept ? 'kept  ' : 'BROKEN'}  ${what}`).join('\n')}
`)
process.exit(bounds.every(([, kept]) => kept) ? 0 : 1)
