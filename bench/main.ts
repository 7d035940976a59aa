/**
 * What scopegate costs for each request, beside what it is compared with: `npm run bench [-- --seconds 3 --rounds 5
 * --only plain,validated --profile]`. README.md tells how to read the table.
 */
import { rmSync } from 'node:fs'
import { mkdir, mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startAuthorizationServer } from '../test/harness/authorization-server.ts'
import { checkContender, createTokens } from './checks.ts'
import { type Contender, contenders } from './contenders.ts'
import { type Answered, startLoad, startUpstream } from './load.ts'
import { type Cores, divideCores, type Running } from './processes.ts'
import { formatPair, formatTable, type Measurement, type Round } from './table.ts'
import { busySeconds, cpuSeconds, cpuSecondsOfAll, memoryOfAll } from './usage.ts'

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '3' },
    rounds: { type: 'string', default: '5' },
    only: { type: 'string' },
    profile: { type: 'boolean', default: false },
  },
})
const [seconds, wanted] = [Number(values.seconds), Number(values.rounds)]
if (!(seconds >= 1 && wanted >= 1)) throw new RangeError('--seconds and --rounds take numbers from 1 on')
const reference = 'bare'
const only = values.only?.split(',')
const unknown = only?.find((name) => !contenders.some((contender) => contender.name === name))
if (unknown !== undefined) throw new RangeError(`there is no ${unknown}, but ${contenders.map(({ name }) => name)}`)
const chosen = contenders.filter(({ name }) => !only || name === reference || only.includes(name))

/** What part of a core others may have had, in a measurement that counts. */
const mostForeign = 0.05
/** Seconds: until then Node has compiled what is called often. */
const warmUp = 6
const mostTries = 10
/** Milliseconds. */
const patience = 60_000
const say = (text: string) => process.stderr.write(`${text}\n`)

const cores = divideCores()
if (!cores) say('No taskset, or one core alone: nobody has a core of its own, and foreign load goes unseen.')
const folder = await mkdtemp(join(tmpdir(), 'scopegate-bench-'))
process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
const profiles = values.profile ? fileURLToPath(new URL('profiles', import.meta.url)) : undefined
if (profiles) await mkdir(profiles, { recursive: true })
const audience = 'https://api.example.test'
const sso = await startAuthorizationServer({ audience, lifetime: 86_400 })
const upstream = await startUpstream()
const around = {
  ...{ upstream: `http://127.0.0.1:${upstream.port}`, issuer: sso.issuer, jwksUri: sso.jwksUri, audience },
  ...{ client: sso.client, folder, profiles, cores },
}
const tokens = await createTokens(sso)
const running = new Map<Contender, Running>()

/** The same for all, but for the caller that has no token. */
function requestTo({ callerIsBare }: Contender, port: number): string {
  const credentials = callerIsBare ? [] : [`Authorization: Bearer ${tokens.good}`]
  const head = ['GET /customers/7 HTTP/1.1', `Host: 127.0.0.1:${port}`, 'Accept: application/json', ...credentials]
  return `${head.join('\r\n')}\r\n\r\n`
}

/** Its figures, and what part of either core somebody else had meanwhile. */
async function measure(contender: Contender, { pids, port, emptyLog }: Running, time = seconds) {
  emptyLog()
  const load = await startLoad(port, requestTo(contender, port))
  await pause(500)
  load.take()
  const before = look(pids)
  await pause(time * 1000)
  const after = look(pids)
  const answered = load.take()
  const memory = memoryOfAll(pids)
  await load.stop()
  if (answered.failures > 0) throw new Error(`${contender.name}: ${answered.failures} requests failed`)
  const elapsed = (after.at - before.at) / 1000
  const foreignOn = (side: 'contender' | 'load') => {
    const own = after.own[side] - before.own[side]
    return (after.busy[side] - before.busy[side] - own) / elapsed
  }
  const foreign = cores ? Math.max(foreignOn('contender'), foreignOn('load')) : 0
  return { foreign, figures: figuresOf(answered, { elapsed, cpu: after.own.contender - before.own.contender, memory }) }
}

function look(pids: readonly number[]) {
  return {
    at: performance.now(),
    own: { contender: cpuSecondsOfAll(pids), load: cpuSeconds(process.pid) },
    busy: { contender: cores ? busySeconds(cores.contender) : 0, load: cores ? busySeconds(cores.load) : 0 },
  }
}

function figuresOf(
  { requests, latencies }: Answered,
  { elapsed, cpu, memory }: { readonly elapsed: number; readonly cpu: number; readonly memory: number },
): Measurement {
  const quantile = (part: number) => latencies[Math.floor(part * (latencies.length - 1))] ?? Number.NaN
  return {
    ...{ perSecond: requests / elapsed, cpu: (cpu / requests) * 1e6, memory, busy: cpu / elapsed },
    ...{ p50: quantile(0.5), p99: quantile(0.99) },
  }
}

/** Comes back once nobody else is at work, or the patience is at its end. */
async function untilQuiet(): Promise<void> {
  const until = performance.now() + patience
  while (cores && performance.now() < until) {
    const before = busyApart(cores)
    await pause(500)
    const after = busyApart(cores)
    if (after.every((busy, index) => busy - (before[index] ?? 0) < 0.5 * mostForeign)) return
  }
}

/** Seconds that each core was not idle, while nothing is measured. */
function busyApart({ contender, load }: Cores): number[] {
  return [busySeconds(contender), busySeconds(load) - cpuSeconds(process.pid)]
}

/** Every contender once. `undefined` if somebody else would not leave the cores alone. */
async function runRound(number: number): Promise<Round | undefined> {
  const all = [...running]
  const first = number % all.length
  const round = new Map<string, Measurement>()
  for (const [contender, started] of [...all.slice(first), ...all.slice(0, first)]) {
    for (let tries = 1; !round.has(contender.name); tries++) {
      await untilQuiet()
      const { foreign, figures } = await measure(contender, started)
      if (foreign <= mostForeign) round.set(contender.name, figures)
      else say(`  ${contender.name}: not counted, somebody else had ${(foreign * 100).toFixed(0)} % of a core`)
      if (foreign > mostForeign && tries === mostTries) return undefined
    }
  }
  return round
}

const rounds: Round[] = []

async function runRounds(): Promise<void> {
  for (let number = 0; rounds.length < wanted && number < 3 * wanted; number++) {
    const round = await runRound(number)
    if (round) rounds.push(round)
    say(round ? `round ${rounds.length} of ${wanted}` : 'round discarded')
  }
}

const pairs = [
  ['validated', 'plain'],
  ['attached', 'plain'],
  ['replaced', 'plain'],
  ['both', 'plain'],
  ['validated', 'express-jwt'],
  ['validated', 'nginx'],
  ['validated', 'haproxy'],
  ['validated', 'apache'],
  ['validated', 'apache-file'],
] as const

/** The figures of the rounds so far. */
function tell(): void {
  if (rounds.length === 0) {
    say('There was no round in which the cores were left alone.')
    return
  }
  const names = [...running.keys()].map(({ name }) => name)
  const compared = pairs.filter((pair) => pair.every((name) => names.includes(name)))
  process.stdout.write(`
${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${rounds.length} of ${wanted} rounds of ${seconds} s

${formatTable(rounds, reference, names)}

${compared.map(([name, other]) => formatPair(rounds, name, other)).join('\n')}
`)
  if (profiles) say(`Profiles are in ${profiles}; the figures are those of profiled processes.`)
}

async function stop(): Promise<void> {
  await Promise.all([...running.values()].map((each) => each.stop()))
  await Promise.all([sso.stop(), upstream.stop()])
}

let interrupted = false

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    interrupted = true
    await stop()
    tell()
    process.exit(1)
  })
}

try {
  for (const contender of chosen) {
    const started = await contender.start(around, contender.name)
    if (!started) {
      say(`${contender.name}: left out, it is not installed (README.md tells what it needs)`)
      continue
    }
    running.set(contender, started)
    await checkContender(contender, { port: started.port, tokens, upstream })
    await measure(contender, started, warmUp)
    say(`${contender.name}: ${contender.does}`)
  }
  await runRounds()
  tell()
  process.exitCode = rounds.length === wanted ? 0 : 1
} catch (error) {
  // What is being measured fails when it is stopped.
  if (!interrupted) throw error
} finally {
  await stop()
}
