import { createLog, createLogOutput } from '../base/log.ts'
import { loadConfig } from '../config/load.ts'
import { serve } from '../server.ts'

/** Serves until SIGTERM or SIGINT; a second signal ends the process at once. */
export async function serveCommand(options: { readonly config: string }): Promise<void> {
  const output = createLogOutput()
  const log = createLog(output)
  const running = await serve(loadConfig(options.config), { log })
  // Somebody waits to hear that it listens.
  output.flush()
  // Left to itself, it would end the process without a word: a closed terminal sends it too.
  process.on('SIGHUP', () => log.warn('SIGHUP is ignored: a changed configuration needs a restart'))
  const stop = async () => {
    for (const signal of ['SIGTERM', 'SIGINT']) process.removeAllListeners(signal).once(signal, () => process.exit(1))
    await running.stop()
    await output.close()
    process.exit(0)
  }
  for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => void stop())
}
