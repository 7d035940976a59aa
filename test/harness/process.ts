import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type LogEntry, recordOutput } from './logs.ts'

const sources = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
/** What the program keeps for its next start is kept from the user's own folder. */
const caches = fileURLToPath(new URL('../../node_modules/.cache', import.meta.url))

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

export interface Run {
  /** Options for Node. */
  readonly nodeArgs?: readonly string[]
  /** The program, if it is not the one of the sources. */
  readonly main?: string
}

/** Runs `scopegate` with these arguments. Everything it prints is looked through for secrets at the end of the test run. */
export function startProgram(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
  { nodeArgs = [], main = sources }: Run = {},
): RunningProgram {
  const child = spawn(process.execPath, [...nodeArgs, main, ...args], {
    env: { ...process.env, XDG_CACHE_HOME: caches, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let stdout = ''
  let stderr = ''
  let rest = ''
  const entries: LogEntry[] = []
  const waiting = new Set<() => void>()
  child.stdout.on('data', (piece: Buffer) => {
    const text = recordOutput(piece.toString())
    stdout += text
    const whole = (rest + text).split('\n')
    rest = whole.pop() ?? ''
    entries.push(
      ...whole.flatMap((line) => (line.startsWith('{') && line.endsWith('}') ? [JSON.parse(line) as LogEntry] : [])),
    )
    for (const look of waiting) look()
  })
  child.stderr.on('data', (piece: Buffer) => {
    stderr += recordOutput(piece.toString())
  })
  const ended = once(child, 'close').then(([exitCode]: (number | null)[]) => ({
    exitCode: exitCode ?? null,
    stdout,
    stderr,
  }))
  const lines = () => [...entries]
  const line = (members: LogEntry) =>
    new Promise<LogEntry>((resolve, reject) => {
      let looked = 0
      const look = () => {
        const found = entries
          .slice(looked)
          .find((entry) => Object.entries(members).every(([name, value]) => entry[name] === value))
        looked = entries.length
        if (!found) return
        waiting.delete(look)
        resolve(found)
      }
      waiting.add(look)
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
  run: Run = {},
): Promise<Ended> {
  return startProgram(args, env, run).ended
}
