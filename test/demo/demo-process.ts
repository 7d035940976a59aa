import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { promisify } from 'node:util'

const root = new URL('../..', import.meta.url)
/** As on a machine with nothing set that the demo heeds. */
const plainEnvironment = { ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined, REDIS_URL: undefined }

/** The demo as a process of its own, with all that it printed so far. */
export interface DemoProcess {
  readonly child: ChildProcess
  printed(): string
  exitCode(): Promise<unknown>
}

export function startDemo(options: readonly string[], environment: NodeJS.ProcessEnv = {}): DemoProcess {
  const env = { ...plainEnvironment, ...environment }
  const child = spawn(process.execPath, ['demo/main.ts', ...options], { cwd: root, env })
  let printed = ''
  const read = (piece: Buffer) => {
    printed += piece
  }
  child.stdout.on('data', read)
  child.stderr.on('data', read)
  return { child, printed: () => printed, exitCode: async () => child.exitCode ?? (await once(child, 'exit'))[0] }
}

/** The lines for a person to repeat, in what the demo printed. */
export function commandsIn(printed: string): string[] {
  return [...printed.matchAll(/^ {2}\$ (.*)$/gm)].map(([, line = '']) => line)
}

/** Runs a line as a person would who pasted it into a shell. */
export async function runShell(
  command: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<{ readonly stdout: string; readonly stderr: string }> {
  const run = promisify(execFile)
  try {
    return await run('/bin/sh', ['-c', command], {
      cwd: root,
      env: { ...plainEnvironment, ...environment },
      encoding: 'utf8',
    })
  } catch (error) {
    return error as { stdout: string; stderr: string }
  }
}

/** The status that the demo showed below a command. */
export function statusTold(printed: string, command: string): string | undefined {
  const below = printed.slice(printed.indexOf(`$ ${command}\n`) + command.length + 3)
  return /^ +HTTP (\d+)/.exec(below)?.[1]
}
