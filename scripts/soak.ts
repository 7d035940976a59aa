/**
 * Two gateways on one Redis, fifty clients whose tokens live for ten seconds, a constant load, and one fault after the
 * other, at random. `node scripts/soak.ts [--seconds 300] [--seed 1]`; ends with figures, and with exit code 1 if a bound
 * is broken.
 */
import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type GatewayProcess, startGatewayProcess } from '../test/faults/gateway-process.ts'
import { get } from '../test/faults/load.ts'
import { tokenFault } from '../test/faults/spent-tokens.ts'
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

const random = createRandom(seed)
const lookThroughLogs = setup()
const clients = Array.from({ length: 50 }, (_, index) => ({
  client_id: `client-${index}`,
  client_secret: createSecret(),
}))
const sso = await startAuthorizationServer({ lifetime, clients })
let redis = await startRedis()

const arrived = { good: 0, refused: 0, 'no token': 0, expired: 0 }
let refusing = false
const upstream = await startUpstream((_request, response, seen) => {
  const fault = tokenFault(seen, Date.now())
  const refuse = refusing || random() < 0.002
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
const gateways = await Promise.all([1, 2].map(() => startGatewayProcess(yaml, env, room)))

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
const agent = new Agent({ keepAlive: true, maxSockets: 500 })

/** One request, of which some are given up by who sent them. */
async function sendOne(number: number): Promise<void> {
  const port = gateways[number % gateways.length]?.port ?? 0
  const path = `/client-${Math.floor(random() * clients.length)}`
  const leaving = random() < 0.02 ? AbortSignal.timeout(1 + Math.floor(random() * 30)) : undefined
  const { status } = await get({ port, path, agent, signal: leaving })
  count(leaving?.aborted ? 'given up' : String(status))
}

async function usage() {
  const each = await Promise.all(gateways.map((gateway) => gateway.usage()))
  return {
    memory: Math.max(...each.map(({ memory }) => memory)),
    handles: Math.max(...each.map(({ handles }) => handles)),
  }
}

const start = performance.now()
const elapsed = () => (performance.now() - start) / 1000
const underWay = new Set<Promise<void>>()
let sent = 0
const timer = setInterval(() => {
  for (; sent < elapsed() * perSecond && underWay.size < 500; sent++) {
    const one: Promise<void> = sendOne(sent).finally(() => underWay.delete(one))
    underWay.add(one)
  }
}, 5)

const happened = new Map<string, number>()
const names = Object.keys(faults)
let warm: Awaited<ReturnType<typeof usage>> | undefined
const curve: number[] = []
while (elapsed() < seconds) {
  if (elapsed() > seconds / 4) warm ??= await usage()
  const name = names[Math.floor(random() * names.length)] ?? ''
  happened.set(name, (happened.get(name) ?? 0) + 1)
  await faults[name]?.(500 + random() * 4000)
  await pause(random() * 3000)
  curve.push(Math.round((await usage()).memory / mebibyte))
}
clearInterval(timer)
await Promise.all(underWay)
agent.destroy()

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

const recovery = await untilWell()
const lasted = elapsed()
// Until idle connections are given up.
await pause(8000)
const last = await usage()
const tokenRequests = sso.requestsTo('token').length
const lines = gateways.flatMap(({ program }: GatewayProcess) => program.lines())
const unforeseen = lines.filter(({ code }) => code === 'internal_error').length
const codes = Map.groupBy(
  lines.filter(({ msg, code }) => msg === 'request' && code !== 'ok'),
  ({ code }) => String(code),
)
const grown = { memory: last.memory - (warm ?? last).memory, handles: last.handles - (warm ?? last).handles }
await Promise.all(gateways.map((gateway) => gateway.stop('SIGTERM')))
await Promise.all([sso.stop(), upstream.stop(), redis.stop()])

/** A renewal for each client in half of a life; by both gateways, while there is no Redis; and again for what failed or was refused. */
const mostTokenRequests = clients.length * (lasted / (lifetime / 2) + 1) * gateways.length * 1.5

const bounds: readonly (readonly [what: string, kept: boolean])[] = [
  ['no request without a token', arrived['no token'] === 0],
  ['no request with an expired token', arrived.expired === 0],
  ['no answer but 200, 502 and 503', [...statuses.keys()].every((name) => /^(200|502|503|given up)$/.test(name))],
  ['nothing unforeseen', unforeseen === 0],
  ['all is well again within 65 s', recovery < 65],
  ['no more token requests than there is reason for', tokenRequests <= mostTokenRequests],
  ['memory grows by less than 32 MiB', grown.memory < 32 * mebibyte],
  ['handles grow by fewer than 30', grown.handles < 30],
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

process.stdout.write(`${seconds} s, seed ${seed}
requests          ${sent}
answers           ${listed([...statuses].sort())}
codes             ${listed([...codes].map(([code, all]) => [code, all.length] as const))}
at the upstream   ${listed(Object.entries(arrived))}
token requests    ${tokenRequests} (at most ${Math.floor(mostTokenRequests)})
memory            ${inMebibytes(last.memory)}, grown by ${inMebibytes(grown.memory)} since a quarter of the time; after each fault ${curve.join(' ')}
handles           ${last.handles}, grown by ${grown.handles}
well again after  ${recovery.toFixed(1)} s
faults            ${listed(happened)}
${bounds.map(([what, kept]) => `${kept ? 'kept  ' : 'BROKEN'}  ${what}`).join('\n')}
`)
process.exit(bounds.every(([, kept]) => kept) ? 0 : 1)
