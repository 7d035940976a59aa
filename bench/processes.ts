import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync, truncateSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'

const ticksPerSecond = 100
const mostStartMilliseconds = 60_000

/** The cores that are kept for the contender on one side, and for the load and the upstream on the other. */
export interface Cores {
  readonly contender: number
  readonly load: number
}

/** Binds this process to a core of its own. `undefined` where there is no taskset, or but one core. */
export function divideCores(): Cores | undefined {
  const [, list = ''] = /^Cpus_allowed_list:\s+(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? []
  const allowed = list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number)
    return Array.from({ length: last - first + 1 }, (_, index) => first + index)
  })
  const [contender, load] = allowed
  if (contender === undefined || load === undefined) return undefined
  const { status } = spawnSync('taskset', ['-acp', String(load), String(process.pid)])
  return status === 0 ? { contender, load } : undefined
}

/** A contender, as a process of its own. */
export interface Running {
  readonly pid: number
  readonly port: number
  /** Its log is a file, as it would be on a server, and is emptied before it grows large. */
  emptyLog(): void
  stop(): Promise<void>
}

export interface Program {
  /** For Node. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly logFile: string
}

/** Starts it on its core, and waits until its log says where it listens. */
export async function startProgram({ args, env, logFile }: Program, cores: Cores | undefined): Promise<Running> {
  const log = openSync(logFile, 'a')
  const command = [...(cores ? ['taskset', '-c', String(cores.contender)] : []), process.execPath, ...args]
  const [file = '', ...rest] = command
  const child = spawn(file, rest, {
    env: { ...process.env, NODE_ENV: 'production', ...env },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  const ended = once(child, 'close')
  const until = Date.now() + mostStartMilliseconds
  let port: string | undefined
  while (!port) {
    await pause(50)
    const said = readFileSync(logFile, 'utf8')
    port = /"port":(\d+)/.exec(said)?.[1]
    if (!port && (Date.now() > until || child.exitCode !== null)) {
      child.kill('SIGKILL')
      throw new Error(`it did not start: ${command.join(' ')}\n${said}`)
    }
  }
  return {
    pid: child.pid ?? 0,
    port: Number(port),
    emptyLog: () => truncateSync(logFile),
    async stop() {
      child.kill('SIGTERM')
      await ended
    },
  }
}

/** Seconds that all threads of a process have had a core. @see proc_pid_stat(5) */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

/** The same to the nanosecond, of the threads that it has now: for turns too short for ticks. */
export function exactCpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  const times = threads.map((thread) => readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' '))
  return times.reduce((sum, [nanoseconds]) => sum + Number(nanoseconds), 0) / 1e9
}

/** Seconds that a core was not idle, whoever had it. @see proc_stat(5) */
export function busySeconds(core: number): number {
  const [, line = ''] = new RegExp(`^cpu${core} (.*)$`, 'm').exec(readFileSync('/proc/stat', 'utf8')) ?? []
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = line.split(' ').map(Number)
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond
}

/** Bytes, where what is shared with others counts in part (PSS). */
export function memoryOf(pid: number): number {
  const [, kibibytes] = /^Pss:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8')) ?? []
  return Number(kibibytes) * 1024
}
