import { type AdminListener, openAdmin } from '../admin/admin-listener.ts'
import { createLog, createLogOutput } from '../base/log.ts'
import { stopOnSignal } from '../base/stop-signals.ts'
import { loadConfigAndTexts } from '../config/load.ts'
import { logServing, logWarnings } from '../server.ts'
import { requireShares } from './share.ts'
import { createTeam } from './team.ts'

export interface PrimaryOptions {
  readonly file: string
  readonly workers: number
  /** The arguments and the variables by which a process knows that it is a worker. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** The process that workers have in common: it serves nothing but the admin listener. */
export async function runPrimary({ file, workers, args, env }: PrimaryOptions): Promise<void> {
  const { config, texts } = loadConfigAndTexts(file)
  requireShares(config, workers)
  const output = createLogOutput(1, { shared: true })
  const log = createLog(output)
  logWarnings(config, log)
  const team = createTeam({ texts, workers }, { log, args, env })
  let state: 'starting' | 'ready' | 'stopping' = 'starting'
  const notReady = () => {
    if (state !== 'ready') return state
    return team.serving() > 0 ? undefined : 'no worker'
  }
  let admin: AdminListener | undefined
  try {
    const addresses = await team.served
    admin = config.admin && (await openAdmin(config.admin.address, { notReady, metrics: team.metrics }))
    logServing(config, new Map([...addresses, ...(admin ? [['admin', admin.address] as const] : [])]), log)
  } catch (error) {
    await team.kill()
    throw error
  }
  state = 'ready'

  process.on('SIGHUP', () => log.warn('SIGHUP is ignored: a changed configuration needs a restart'))
  const stop = async () => {
    state = 'stopping'
    log.info({ grace_ms: config.shutdown_grace }, 'stopping')
    const cutOff = await team.stop(config.shutdown_grace)
    admin?.close()
    log.info({ cut_off: cutOff }, 'stopped')
    await output.close()
    process.exit(0)
  }
  const endAtOnce = async () => {
    await team.kill()
    process.exit(1)
  }
  stopOnSignal(
    () => void stop(),
    () => void endAtOnce(),
  )
}
