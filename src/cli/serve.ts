import { loadConfig } from '../config/load.ts'
import { serve } from '../server.ts'

/** Serves until SIGTERM or SIGINT; a second signal ends the process at once. */
export async function serveCommand(options: { readonly config: string }): Promise<void> {
  const running = await serve(loadConfig(options.config))
  const stop = () => {
    process.once('SIGTERM', () => process.exit(1))
    process.once('SIGINT', () => process.exit(1))
    void running.stop().then(() => process.exit(0))
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}
