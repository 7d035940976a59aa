/**
 * Whether scopegate costs the same however much there is of everything: `npm run bench:scale [-- --only routes,tokens
 * --seconds 1 --rounds 5 --tokens 1000000 --gibibytes 1]`. One line for each figure, and exit code 1 if one is not what it must be.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { startUpstream } from '../load.ts'
import { divideCores } from '../processes.ts'
import { bodies } from './bodies.ts'
import { clients } from './clients.ts'
import { firstSight } from './first-sight.ts'
import { idleConnections } from './idle-connections.ts'
import { memoryHits } from './memory-hits.ts'
import { passing } from './passing.ts'
import { remembered } from './remembered.ts'
import { routes } from './routes.ts'
import { type Stage, setStage } from './stage.ts'
import { createIssuer } from './tokens.ts'
import { formatVerdict, type Verdict } from './verdict.ts'

const cases: Readonly<Record<string, (stage: Stage) => AsyncGenerator<Verdict>>> = {
  routes,
  remembered,
  passing,
  'first-sight': firstSight,
  clients,
  'idle-connections': idleConnections,
  bodies,
  'memory-hits': memoryHits,
}

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: Object.keys(cases).join() },
    seconds: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '5' },
    tokens: { type: 'string', default: '200000' },
    gibibytes: { type: 'string', default: '1' },
  },
})
const number = (option: 'seconds' | 'rounds' | 'tokens' | 'gibibytes', least: number) => {
  const given = Number(values[option])
  if (!(given >= least)) throw new RangeError(`--${option} takes a number from ${least} on`)
  return given
}
const names = values.only.split(',')
const unknown = names.find((name) => !Object.hasOwn(cases, name))
if (unknown !== undefined) throw new RangeError(`there is no ${unknown}, but ${Object.keys(cases).join(', ')}`)

const cores = divideCores()
const folder = await mkdtemp(join(tmpdir(), 'scopegate-scale-'))
const upstream = await startUpstream()
const around = {
  ...{ folder, upstream, issuer: createIssuer(), passing: number('tokens', 1000) },
  ...{ bodyBytes: number('gibibytes', 0.01) * 1024 ** 3 },
  pace: { cores, seconds: number('seconds', 0.5), rounds: number('rounds', 1) },
}
let clearCurrent = async () => {}
let whole = true

async function run(name: string): Promise<void> {
  const { stage, clear } = setStage(around)
  clearCurrent = clear
  try {
    for await (const verdict of cases[name]?.(stage) ?? []) {
      whole &&= verdict.kept
      process.stdout.write(`${formatVerdict(name, verdict)}\n`)
    }
  } catch (error) {
    whole = false
    process.stdout.write(`FAIL  ${name}: ${error}\n`)
  } finally {
    await clear()
  }
}

async function leave(): Promise<void> {
  await upstream.stop()
  await rm(folder, { recursive: true, force: true })
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, async () => {
    await clearCurrent()
    await leave()
    process.exit(1)
  })
}

process.stdout.write(
  `${new Date().toISOString().slice(0, 10)}, Node ${process.version}, ${values.rounds} rounds of ${values.seconds} s\n`,
)
if (!cores)
  process.stdout.write('No taskset, or one core alone: nobody has a core of its own, and foreign load goes unseen.\n')
const startedAt = performance.now()
for (const name of names) await run(name)
await leave()
process.stdout.write(
  `${whole ? 'all kept' : 'NOT all kept'}, ${((performance.now() - startedAt) / 1000).toFixed(0)} s\n`,
)
process.exitCode = whole ? 0 : 1
