/** What /proc says of processes and cores. */
import { readdirSync, readFileSync } from 'node:fs'

const ticksPerSecond = 100

/** Seconds that all threads of one process have had a core. @see proc_pid_stat(5) */
export function cpuSeconds(pid: number): number {
  const { user, system } = timesOf(pid)
  return user + system
}

/** The same to the nanosecond, of the threads that it has now: for turns too short for ticks. */
export function exactCpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const times = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' '))
  return times.reduce((total, [nanoseconds]) => total + Number(nanoseconds), 0) / 1e9
}

/** The same for these processes and all that they have started, those that have ended since included. */
export function cpuSecondsOfAll(roots: readonly number[]): number {
  return sum(familyOf(roots), (pid) => {
    const { user, system, ended } = timesOf(pid)
    return user + system + ended
  })
}

/** Bytes of one process, where what is shared with others counts in part (PSS). */
export function memoryOf(pid: number): number {
  const [, kibibytes] = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
  return Number(kibibytes) * 1024
}

/** The same for these processes and all that they have started. */
export function memoryOfAll(roots: readonly number[]): number {
  return sum(familyOf(roots), memoryOf)
}

/** Seconds that a core was not idle, whoever had it. @see proc_stat(5) */
export function busySeconds(core: number): number {
  const [, line = ''] = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8')) ?? []
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number)
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond
}

/** `ended`: what its children had until they ended and it took note of that. */
function timesOf(pid: number): Record<'user' | 'system' | 'ended', number> {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const [user = 0, system = 0, endedUser = 0, endedSystem = 0] = fields
    .slice(11, 15)
    .map((ticks) => Number(ticks) / ticksPerSecond)
  return { user, system, ended: endedUser + endedSystem }
}

/** The processes themselves and all that they have started, as far down as it goes. */
function familyOf(pids: readonly number[]): number[] {
  return pids.flatMap((pid) => [pid, ...familyOf(childrenOf(pid))])
}

/** Whichever thread has started them. */
function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) => {
    const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8')
    return children.split(' ').filter(Boolean).map(Number)
  })
}

function sum(pids: readonly number[], figureOf: (pid: number) => number): number {
  return pids.reduce((total, pid) => total + figureOf(pid), 0)
}
