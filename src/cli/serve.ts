import { availableParallelism } from 'node:os'
import { createLog, createLogOutput } from '../base/log.ts'
import { stopOnSignal } from '../base/stop-signals.ts'
import { loadConfig } from '../config/load.ts'
import { serve } from '../server.ts'

export interface ServeCommandOptions {
  readonly config: string
  readonly workers: number | 'auto'
}

/** Serves until SIGTERM or SIGINT; a second signal ends the process at once. */
export async function serveCommand({ config, workers }: ServeCommandOptions): Promise<void> {
  const count = workers === 'auto' ? availableParallelism() : workers
  if (count > 1) {
    const { serveWithWorkers } = await import('../workers/serve-with-workers.ts')
    return serveWithWorkers(config, count)
  }
  const output = createLogOutput()
  const log = createLog(output)
  const running = await serve(loadConfig(config), { log })
  // Left to itself, it would end the process without a word: a closed terminal sends it too.
  process.on('SIGHUP', () => log.warn('SIGHUP is ignored: a changed configuration needs a restart'))
  const stop = async () => {
    await running.stop()
    await output.close()
    process.exit(0)
  }
  stopOnSignal(() => void stop())
  // Somebody waits to hear that it listens, and may then have it stop at once.
  output.flush()
}
