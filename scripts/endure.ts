/**
 * What a gateway with its default limits bears: slow callers, idle ones, many, hostile and fickle ones, while good
 * requests still pass and its memory stays bounded. `npm run endure -- [--only TEXT]`; prints a line for each scenario, and
 * ends with exit code 1 if one is broken. It takes a minute and a half, and 14,000 open
 * files.
 */
import { execFileSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { type Endured, mebibytes, scenarios } from './endure/scenarios.ts'
import { startEnduranceStage } from './endure/stage.ts'

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } })
const mostMemory = 1024 * 1024 * 1024
const neededFiles = 14_000

const openFiles = Number(
  execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).replace('unlimited', 'Infinity'),
)
if (openFiles < neededFiles)
  process.stdout.write(`ulimit -Hn is ${openFiles}: 10,000 connections need ${neededFiles}, and will fail here\n`)

const stage = await startEnduranceStage()
const before = await stage.gateway.usage()
let peak = before.memory
const watch = setInterval(async () => {
  peak = Math.max(peak, (await stage.gateway.usage().catch(() => before)).memory)
}, 200)
let whole = true
const say = (what: string, { kept, figures }: Endured) => {
  whole &&= kept
  process.stdout.write(`${kept ? 'kept  ' : 'BROKEN'}  ${what}: ${figures}\n`)
}

for (const [what, scenario] of Object.entries(scenarios))
  if (what.includes(values.only))
    say(what, await scenario(stage).catch((error) => ({ kept: false, figures: String(error) })))

// Idle connections to the upstreams are closed after 4 s.
await pause(8000)
clearInterval(watch)
const after = await stage.gateway.usage().catch(() => ({ memory: 0, handles: Number.POSITIVE_INFINITY }))
say('memory stays bounded', {
  kept: peak < mostMemory && after.memory > 0,
  figures: `${mebibytes(before.memory)} at the start, ${mebibytes(peak)} at most, ${mebibytes(after.memory)} at the end; bound ${mebibytes(mostMemory)}`,
})
say('every connection is given back', {
  kept: after.handles <= before.handles + 4,
  figures: `${before.handles} files and sockets at the start, ${after.handles} at the end`,
})
say('nothing unforeseen', {
  kept: stage.gateway.faults.length === 0,
  figures: stage.gateway.faults.join('\n') || 'no error, no warning, no secret in the log',
})
await stage.stop()
process.exit(whole ? 0 : 1)
