import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { type RunningProgram, startProgram } from '../harness/process.ts'

/** `scopegate serve --workers` as a process of its own, with a listener `main`. */
export interface Crew {
  readonly program: RunningProgram
  readonly port: number
  /** Where its configuration is. */
  readonly folder: string
  /** The processes that serve now, as the log tells. */
  workers(): { readonly worker: number; readonly pid: number }[]
  /** The body of an answer on the admin listener. */
  admin(path: string): Promise<string>
  stop(): Promise<void>
}

/** Starts crews, and ends them after each test. */
export function createCrewKeeper() {
  const running: Crew[] = []
  afterEach(async () => {
    for (const crew of running.splice(0)) await crew.stop()
  })
  return {
    /** @param yaml the configuration but for `admin`; with its own listeners, or one on a free port */
    async start(yaml: string, workers = 3, env: Readonly<Record<string, string>> = {}): Promise<Crew> {
      const folder = mkdtempSync(join(tmpdir(), 'scopegate-workers-'))
      const file = join(folder, 'scopegate.yaml')
      const listeners = yaml.includes('listeners:') ? '' : 'listeners: { main: { address: "127.0.0.1:0" } }\n'
      writeFileSync(file, `${listeners}admin: { address: "127.0.0.1:0" }\n${yaml}`)
      const program = startProgram(['serve', '--config', file, '--workers', String(workers)], env)
      const stop = async () => {
        program.child.kill('SIGKILL')
        // One that a test has stopped does not see that its primary is gone.
        for (const { pid } of workersOf(program)) if (lives(pid)) process.kill(pid, 'SIGKILL')
        await program.ended
        rmSync(folder, { recursive: true, force: true })
      }
      try {
        await program.line({ msg: 'ready' })
      } catch (error) {
        await stop()
        throw error
      }
      const admin = await program.port('admin')
      const crew: Crew = {
        program,
        port: await program.port('main'),
        folder,
        workers: () => workersOf(program),
        admin: async (path) => (await fetch(`http://127.0.0.1:${admin}${path}`)).text(),
        stop,
      }
      running.push(crew)
      return crew
    },
  }
}

function workersOf(program: RunningProgram): { readonly worker: number; readonly pid: number }[] {
  const serving = new Map<number, number>()
  for (const { msg, worker, pid } of program.lines()) {
    if (msg === 'worker started') serving.set(Number(worker), Number(pid))
    if (msg === 'worker ended') serving.delete(Number(worker))
  }
  return [...serving].map(([worker, pid]) => ({ worker, pid }))
}

/** True while a process runs, as Linux tells it; one that nobody has asked for its exit code runs no more. */
export function lives(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}
