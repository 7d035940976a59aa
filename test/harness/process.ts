import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type LogEntry, recordOutput } from './logs.ts'

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

export interface Ended {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The program as a process of its own. */
export interface RunningProgram {
  readonly child: ChildProcess
  /** The log lines so far. */
  lines(): LogEntry[]
  /** The first line with these members, now or later; rejects if the program ends without it. */
  line(members: LogEntry): Promise<LogEntry>
  /** Where a listener accepts. */
  port(listener: string): Promise<number>
  readonly ended: Promise<Ended>
}

/** Runs `scopegate` with these arguments. Everything it prints is looked through for secrets at the end of the test run. */
export function startProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  nodeArgs: readonly string[] = [],
): RunningProgram {
  const child = spawn(process.execPath, [...nodeArgs, main, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  let look = () => {}
  child.stdout.on('data', (piece: Buffer) => {
    stdout += recordOutput(piece.toString())
    look()
  })
  child.stderr.on('data', (piece: Buffer) => {
    stderr += recordOutput(piece.toString())
  })
  const ended = once(child, 'close').then(([exitCode]: (number | null)[]) => ({
    exitCode: exitCode ?? null,
    stdout,
    stderr,
  }))
  const lines = () =>
    stdout
      .split('\n')
      .flatMap((line) => (line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line) as LogEntry] : []))
  const line = (members: LogEntry) =>
    new Promise<LogEntry>((resolve, reject) => {
      const before = look
      look = () => {
        before()
        const found = lines().find((entry) => Object.entries(members).every(([name, value]) => entry[name] === value))
        if (found) resolve(found)
      }
      look()
      void ended.then(({ stderr: told }) =>
        reject(new Error(`the program ended before it logged ${JSON.stringify(members)}: ${told}`)),
      )
    })
  return {
    child,
    lines,
    line,
    port: async (listener) => Number((await line({ msg: 'listening', listener })).port),
    ended,
  }
}

/** Runs it to its end. */
export function runProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  nodeArgs: readonly string[] = [],
): Promise<Ended> {
  return startProgram(args, env, nodeArgs).ended
}
