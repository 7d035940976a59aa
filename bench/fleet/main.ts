/**
 * Eight gateways on one Redis, and a thousand clients whose tokens expire together: `npm run bench:fleet [-- --gateways 8
 * --clients 1000 --rate 800 --stretch 1]`. Tells how often the authorization server is asked, what callers notice of it, and what Redis
 * has to do; exit code 1 if a token was asked for more than once, or a request failed.
 */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { setPriority, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startRedis } from '../../test/harness/redis.ts'
import { startUpstream } from '../load.ts'
import { type RunningNode, startNodeProgram } from '../processes.ts'
import { type Issued, startTokenEndpoint } from '../token-endpoint.ts'
import { memoryOf } from '../usage.ts'
import { type Asked, createFleetLoad } from './load.ts'
import { type RedisFigures, readRedis } from './redis-figures.ts'
import { formatTimeline, quantile } from './timeline.ts'

const { values } = parseArgs({
  options: {
    gateways: { type: 'string', default: '8' },
    clients: { type: 'string', default: '1000' },
    rate: { type: 'string', default: '800' },
    stretch: { type: 'string', default: '1' },
  },
})
const [gateways, clients, rate] = [Number(values.gateways), Number(values.clients), Number(values.rate)]
const stretch = Number(values.stretch)
if (!(gateways >= 1 && clients >= 1 && rate >= 1 && stretch >= 1))
  throw new RangeError('each option takes a number from 1 on')

/** Seconds from the beginning at which all tokens expire that were given out before, and how long before it they are renewed. */
const [first, second, third, lastMoment] = [40 * stretch, 80 * stretch, 100 * stretch, 200 * stretch]
const moments = [first, second, third, lastMoment]
const renewal = 16 * stretch
/** A token that is asked for later than so many seconds before such a moment lives until the next one. */
const tooLate = 20 * stretch
/** A niceness. */
const givesWay = 10
const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url))
const say = (text: string) => process.stdout.write(`${text}\n`)

let startedAt = Date.now()
/** The moment that all who ask now get, in milliseconds since the epoch. */
function commonExpiry(now: number): number {
  const moment = moments.find((each) => now + tooLate * 1000 < startedAt + each * 1000) ?? lastMoment
  return startedAt + moment * 1000
}

const folder = await mkdtemp(join(tmpdir(), 'scopegate-fleet-'))
const redis = await startRedis()
const upstream = await startUpstream()
// As a server that signs and writes to its database: never quick, sometimes slow.
const endpoint = await startTokenEndpoint({ expiresAt: commonExpiry, delay: () => 20 + 30 * Math.random() ** 3 * 10 })
const logFileOf = (index: number) => join(folder, `log-${index}`)
const file = join(folder, 'scopegate.yaml')
const indices = Array.from({ length: clients }, (_, index) => index)
await writeFile(
  file,
  `
listeners: { main: { address: "127.0.0.1:0" } }
authorization_servers: { partner: { token_endpoint: "${endpoint.url}" } }
clients:
${indices.map((index) => `  client-${index}: { authorization_server: partner, client_id: client-${index}, client_secret: "\${env:SECRET}" }`).join('\n')}
token_cache: { refresh_before_expiry: ${renewal}s, redis: { url: "${redis.url}", encryption_keys: ["\${env:CACHE_KEY}"] } }
routes:
${indices.map((index) => `  - { path: /partner-${index}/**, callers: { networks: [loopback] }, token: { client: client-${index} }, upstream: "http://127.0.0.1:${upstream.port}" }`).join('\n')}
`,
)
const env = { SECRET: 's3cret-of-all', CACHE_KEY: randomBytes(32).toString('base64url') }
const running: RunningNode[] = []
const scripts: { readonly at: number; readonly scripts: number }[] = []

async function stop(): Promise<void> {
  await Promise.all(running.map((gateway) => gateway.stop()))
  await Promise.all([endpoint.stop(), upstream.stop(), redis.stop()])
  await rm(folder, { recursive: true, force: true })
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await stop()
    process.exit(1)
  })
}

/** So many seconds after the beginning. */
async function until(second: number): Promise<void> {
  await pause(Math.max(0, startedAt + second * 1000 - Date.now()))
}

async function watchRedis(signal: AbortSignal): Promise<void> {
  for (let second = 1; !signal.aborted; second++) {
    await until(second).catch(() => {})
    if (!signal.aborted) scripts.push({ at: Date.now(), scripts: (await readRedis(redis)).scripts })
  }
}

/** From one look to the next, and when the tokens expire that are asked for meanwhile. */
interface Phase {
  readonly name: string
  readonly expiry: number
  readonly from: number
  readonly to: number
  readonly before: RedisFigures
  readonly after: RedisFigures
}

const phases: Phase[] = []

interface PhasePlan {
  readonly name: string
  readonly expiry: number
  readonly toSecond: number
  readonly begin?: () => void
}

async function play({ name, expiry, toSecond, begin }: PhasePlan): Promise<void> {
  const [from, before] = [Date.now(), await readRedis(redis)]
  begin?.()
  await until(toSecond)
  phases.push({ name, expiry, from, to: Date.now(), before, after: await readRedis(redis) })
}

/** True if all was as it must be. */
function tellPhase({ name, expiry, from, to, before, after }: Phase, asked: readonly Asked[]): boolean {
  const here = asked.filter(({ at }) => at >= from && at < to)
  const issued = endpoint.issued.filter(({ expiresAt }) => expiresAt === startedAt + expiry * 1000)
  const failed = here.filter(({ status }) => status !== 200)
  const kept = issued.length === clients && new Set(issued.map(({ client }) => client)).size === clients
  const latencies = here.map(({ milliseconds }) => milliseconds)
  const each = (figure: keyof RedisFigures) => ((after[figure] - before[figure]) / issued.length).toFixed(1)
  const good = kept && failed.length === 0
  say(
    `${good ? 'pass' : 'FAIL'}  ${name}: ${issued.length} token requests (must be ${clients}, one for each client), ${failed.length} of ${here.length} requests failed (must be 0)${statuses(failed)}`,
  )
  const times =
    latencies.length === 0
      ? ''
      : `; callers: p99 ${quantile(latencies, 0.99).toFixed(0)} ms, longest ${quantile(latencies, 1).toFixed(0)} ms`
  say(`      ${spreadOf(issued)}${times}`)
  say(
    `      for each token: ${each('scripts')} scripts, ${each('commands')} commands with those in scripts, ${each('published')} signals, ${each('received')} bytes to Redis, ${each('sent')} from it, ${each('busy')} µs of its CPU in scripts`,
  )
  return good
}

/** A gateway that has found Redis too slow asks by itself for a while, and then a token can be asked for twice. */
function countLost(): number {
  const logs = running.map((_, index) => readFileSync(logFileOf(index), 'utf8'))
  return logs.reduce((sum, log) => sum + log.split('"msg":"redis lost"').length - 1, 0)
}

/** How many tokens were asked for while there was another one whose time to be renewed had not come. */
function countEarly(): number {
  const slack = 2
  const byClient = [...Map.groupBy(endpoint.issued, ({ client }) => client).values()]
  return byClient.flatMap((tokens) => {
    const inOrder = tokens.toSorted((one, other) => one.at - other.at)
    return inOrder.filter((token, index) => {
      const earlier = inOrder[index - 1]
      if (!earlier) return false
      const lead = Math.min(renewal * 1000, (earlier.expiresAt - earlier.at) / 2)
      return token.at < earlier.expiresAt - lead - slack * 1000
    })
  }).length
}

function spreadOf(issued: readonly Issued[]): string {
  const times = issued.map(({ at }) => at)
  const seconds = [...Map.groupBy(times, (at) => Math.floor((at - startedAt) / 1000)).values()]
  const perSecond = Math.max(0, ...seconds.map(({ length }) => length))
  return `within ${((Math.max(...times) - Math.min(...times)) / 1000).toFixed(1)} s, ${perSecond} in one second at the most`
}

function statuses(failed: readonly { status: number }[]): string {
  return failed.length === 0 ? '' : `; answered ${[...new Set(failed.map(({ status }) => status))].join(', ')}`
}

try {
  for (let index = 0; index < gateways; index++) {
    const gateway = await startNodeProgram(
      { args: [main, 'serve', '--config', file], env, logFile: logFileOf(index) },
      undefined,
    )
    running.push(gateway)
    // Redis has a machine of its own; here, where it shares one with all of them, they give way to it.
    setPriority(gateway.pid, givesWay)
  }
  const empty = await readRedis(redis)
  const load = createFleetLoad({
    ports: running.map(({ port }) => port),
    paths: indices.map((index) => `/partner-${index}/customers/7`),
    perSecond: rate,
  })
  const watching = new AbortController()
  startedAt = Date.now()
  const watched = watchRedis(watching.signal)
  await play({
    name: 'nobody has a token, all ask at once',
    expiry: first,
    toSecond: first - renewal,
    begin: load.begin,
  })
  await play({ name: 'all are renewed under load', expiry: second, toSecond: second - renewal - 2 })
  await load.pause()
  // They were in use since their renewal, so they are renewed once more; and then nobody has used them.
  await play({ name: 'all are renewed, and nobody asks', expiry: third, toSecond: third + 1 })
  const held = await readRedis(redis)
  await play({
    name: 'all have expired, all ask at once',
    expiry: lastMoment,
    toSecond: third + 20 * stretch,
    begin: load.begin,
  })
  watching.abort()
  await load.stop()
  await watched
  const full = await readRedis(redis)

  say(
    `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${gateways} gateways, ${clients} clients, ${rate} requests a second, tokens that expire together after ${first}, ${second} and ${third} s, renewed ${renewal} s before\n`,
  )
  say(`${formatTimeline({ startedAt, asked: load.asked, issued: endpoint.issued, scripts })}\n`)
  const kept = phases.map((each) => tellPhase(each, load.asked))
  say(`      token requests at once at the authorization server: ${endpoint.mostAtOnce()} at the most`)
  say(
    `      Redis: ${full.keys} keys, ${((full.memory - empty.memory) / full.keys).toFixed(0)} bytes each, ${full.connections / gateways} connections for each gateway; ${held.keys} keys once all had expired`,
  )
  say(`      token requests while there was a token that was not due yet: ${countEarly()}`)
  say(`      gateways found Redis lost: ${countLost()} times`)
  say(`      PSS of a gateway: ${running.map(({ pid }) => (memoryOf(pid) / 1024 ** 2).toFixed(0)).join(', ')} MiB`)
  process.exitCode = kept.every(Boolean) ? 0 : 1
} finally {
  await stop()
}
