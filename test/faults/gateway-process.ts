import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type RunningProgram, startProgram } from '../harness/process.ts'

/** `scopegate serve` as a process of its own, which accepts requests. */
export interface GatewayProcess {
  readonly program: RunningProgram
  readonly port: number
  /** What it holds of the machine at this moment: bytes of memory, and open files and sockets. */
  usage(): Promise<{ readonly memory: number; readonly handles: number }>
  /** May be called twice, and after its end. */
  stop(signal?: NodeJS.Signals): Promise<void>
}

/** Starts one with a configuration of one listener, to which it gives a free port. */
export async function startGatewayProcess(
  yaml: string,
  env: Readonly<Record<string, string>> = {},
  nodeArgs: readonly string[] = [],
): Promise<GatewayProcess> {
  const folder = await mkdtemp(join(tmpdir(), 'scopegate-process-'))
  const file = join(folder, 'scopegate.yaml')
  await writeFile(file, `listeners: { main: { address: "127.0.0.1:0" } }\n${yaml}`)
  const program = startProgram(['serve', '--config', file], env, { nodeArgs })
  const stop = async (signal: NodeJS.Signals = 'SIGKILL') => {
    program.child.kill(signal)
    await program.ended
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const port = await program.port('main')
    return { program, port, usage: () => usageOf(program.child.pid ?? 0), stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** As Linux tells it. */
async function usageOf(pid: number): Promise<{ readonly memory: number; readonly handles: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  const [, kibibytes] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? []
  return { memory: Number(kibibytes) * 1024, handles: (await readdir(`/proc/${pid}/fd`)).length }
}
