import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync, readFileSync, truncateSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

const mostStartMilliseconds = 60_000

/** None of them goes on when this process has ended, however that came about. */
const children = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of children) child.kill()
})

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

/** A contender, as a process of its own, or several. */
export interface Running {
  /** Those that were started; they may have started others. */
  readonly pids: readonly number[]
  readonly port: number
  /** Its log is a file, as it would be on a server, and is emptied before it grows large. */
  emptyLog(): void
  stop(): Promise<void>
}

export interface Program {
  /** With its arguments. It stays in the foreground. */
  readonly command: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  readonly logFile: string
  /** Where it listens; without one, its log says so. */
  readonly port?: number
}

export interface NodeProgram extends Pick<Program, 'env' | 'logFile'> {
  /** For Node. */
  readonly args: readonly string[]
}

/** One process of Node. */
export interface RunningNode extends Running {
  readonly pid: number
}

/** Starts it on its core, and waits until its log says where it listens. */
export async function startNodeProgram(
  { args, ...program }: NodeProgram,
  cores: Cores | undefined,
): Promise<RunningNode> {
  const running = await startProgram({ ...program, command: [process.execPath, ...args] }, cores)
  return { ...running, pid: running.pids[0] ?? 0 }
}

/** Starts it on its core, and waits until it listens. What it starts itself stays on that core. */
export async function startProgram(program: Program, cores: Cores | undefined): Promise<Running> {
  const { env, logFile } = program
  const log = openSync(logFile, 'a')
  const command = [...(cores ? ['taskset', '-c', String(cores.contender)] : []), ...program.command]
  const [file = '', ...args] = command
  const child = spawn(file, args, {
    env: { ...process.env, NODE_ENV: 'production', ...env },
    stdio: ['ignore', log, log],
  })
  closeSync(log)
  children.add(child)
  const ended = once(child, 'close')
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  const until = Date.now() + mostStartMilliseconds
  let port: number | undefined
  while (port === undefined) {
    await pause(50)
    port = await listeningPort(program)
    const gone = child.exitCode !== null || child.signalCode !== null
    if (gone || (port === undefined && Date.now() > until)) {
      await stop()
      throw new Error(`it did not start: ${command.join(' ')}\n${readFileSync(logFile, 'utf8')}`)
    }
  }
  return { pids: [child.pid ?? 0], port, emptyLog: () => truncateSync(logFile), stop }
}

async function listeningPort({ logFile, port }: Program): Promise<number | undefined> {
  if (port !== undefined) return (await accepts(port)) ? port : undefined
  const [, told] = /"port":(\d+)/.exec(readFileSync(logFile, 'utf8')) ?? []
  return told === undefined ? undefined : Number(told)
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' })
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

/**
 * What the variable says; otherwise the first of these names on the PATH, or where Debian keeps servers.
 * @throws {Error} if the variable names nothing
 */
export function findProgram(variable: string, names: readonly string[]): string | undefined {
  const given = process.env[variable]
  if (given && !existsSync(given)) throw new Error(`${variable} is ${given}, and there is no such program`)
  if (given) return given
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin']
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => existsSync(file))
}
