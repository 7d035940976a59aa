import { setTimeout as pause } from 'node:timers/promises'
import { startLoad } from '../load.ts'
import type { Cores, RunningNode } from '../processes.ts'
import { busySeconds, cpuSeconds, exactCpuSeconds } from '../usage.ts'
import { inTurn } from './requests.ts'

/** A gateway, and what it is asked in its turns. */
export interface Contestant {
  readonly running: RunningNode
  readonly nextRequest: () => Buffer
}

export interface Pace {
  readonly cores: Cores | undefined
  /** Of a turn. */
  readonly seconds: number
  readonly rounds: number
}

/** One turn of one contestant. */
export interface Turn {
  /** Microseconds of CPU for each request, all threads of the process counted. */
  readonly cpu: number
  readonly perSecond: number
  /** What part of its core somebody else had meanwhile. */
  readonly foreign: number
}

/** What part of a core others may have had, in a round that counts. */
const mostForeign = 0.05
const fewestRounds = 3
const settling = 300

/** Keeps one busy for so many seconds. @throws {Error} if a request fails: its figures would be those of refusals */
async function takeTurn(
  { running, nextRequest }: Contestant,
  { cores, seconds }: Pick<Pace, 'cores' | 'seconds'>,
): Promise<Turn> {
  running.emptyLog()
  const load = await startLoad(running.port, nextRequest)
  await pause(settling)
  load.take()
  const before = look(running.pid, cores)
  await pause(seconds * 1000)
  const after = look(running.pid, cores)
  const { requests, failures } = load.take()
  await load.stop()
  if (failures > 0 || requests === 0) throw new Error(`${failures} requests failed, ${requests} were answered`)
  const elapsed = (after.at - before.at) / 1000
  return {
    cpu: ((after.cpu - before.cpu) / requests) * 1e6,
    perSecond: requests / elapsed,
    foreign: (after.busy - before.busy - (after.ticks - before.ticks)) / elapsed,
  }
}

/** Asks once for each of the requests, and a few of them twice: what a gateway does once has been done then. */
export async function askForAll(running: RunningNode, requests: readonly Buffer[]): Promise<void> {
  const load = await startLoad(running.port, inTurn(requests))
  let answered = 0
  let failed = 0
  while (answered < requests.length && failed === 0) {
    await pause(100)
    const taken = load.take()
    answered += taken.requests
    failed += taken.failures
  }
  await load.stop()
  if (failed > 0) throw new Error(`${failed} requests failed, of ${answered}`)
}

function look(pid: number, cores: Cores | undefined) {
  const ticks = cpuSeconds(pid)
  return {
    at: performance.now(),
    cpu: exactCpuSeconds(pid),
    ticks,
    busy: cores ? busySeconds(cores.contender) : ticks,
  }
}

/** What one costs, beside another. */
export interface Comparison {
  /** CPU for each request, divided by the other's in the same round. */
  readonly ratio: number
  /** The same as a difference, in microseconds. */
  readonly difference: number
  /** Of how many rounds, how far they lie apart, and both figures. */
  readonly more: string
}

/**
 * Turns of both by turns, the one first and then the other. Medians over the rounds in which nobody else had much of the
 * core, or over all of them where there are fewer than three.
 */
export async function compare(one: Contestant, other: Contestant, pace: Pace): Promise<Comparison> {
  for (const contestant of [one, other]) await takeTurn(contestant, { ...pace, seconds: 2 * pace.seconds })
  const rounds: { readonly one: Turn; readonly other: Turn }[] = []
  for (let number = 0; number < pace.rounds; number++) {
    const isFirst = number % 2 === 0
    const early = await takeTurn(isFirst ? one : other, pace)
    const late = await takeTurn(isFirst ? other : one, pace)
    rounds.push(isFirst ? { one: early, other: late } : { one: late, other: early })
  }
  return summarise(rounds)
}

function summarise(rounds: readonly { readonly one: Turn; readonly other: Turn }[]): Comparison {
  const quiet = rounds.filter(({ one, other }) => Math.max(one.foreign, other.foreign) <= mostForeign)
  const counted = quiet.length >= fewestRounds ? quiet : rounds
  const ratios = counted.map(({ one, other }) => one.cpu / other.cpu)
  const [mine, theirs] = [median(counted.map(({ one }) => one.cpu)), median(counted.map(({ other }) => other.cpu))]
  const spread = `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`
  const disturbed = rounds.length - quiet.length
  return {
    ratio: median(ratios),
    difference: median(counted.map(({ one, other }) => one.cpu - other.cpu)),
    more: `${mine.toFixed(0)} and ${theirs.toFixed(0)} µs, ${counted.length} rounds ${spread}, ${disturbed} disturbed`,
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = (sorted.length - 1) / 2
  return ((sorted[Math.floor(middle)] ?? Number.NaN) + (sorted[Math.ceil(middle)] ?? Number.NaN)) / 2
}
