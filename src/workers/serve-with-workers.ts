import cluster from 'node:cluster'
import { type AdminListener, openAdmin } from '../admin/admin-listener.ts'
import { closeLogOutput, createLog, createLogOutput } from '../base/log.ts'
import { stopOnSignal } from '../base/stop-signals.ts'
import { parseConfig, readConfigFile } from '../config/load.ts'
import { logServing, logWarnings } from '../server.ts'
import { requireShares } from './share.ts'
import { createTeam } from './team.ts'
import { runWorker } from './worker.ts'

/** In the environment of a worker: the process that has started it. */
const marker = 'SCOPEGATE_PRIMARY'

/**
 * Serves a configuration by several processes. This one reads the file, starts the others anew when they end, and answers for
 * all of them on the admin listener; in those it is the same command, which does as it is told.
 * @throws {ConfigError} with every fault, or the error of the first listener that cannot be opened
 */
export async function serveWithWorkers(file: string, workers: number): Promise<void> {
  if (cluster.isWorker && process.env[marker] === String(process.ppid)) return runWorker()
  if (cluster.isWorker) throw new Error('workers cannot be started by a process that is a worker itself')
  return runPrimary(file, workers)
}

async function runPrimary(file: string, workers: number): Promise<void> {
  const text = readConfigFile(file)
  const config = parseConfig(text, { file })
  requireShares(config, workers)
  const output = createLogOutput(1, { shared: true })
  const log = createLog(output)
  logWarnings(config, log)
  const args = ['serve', '--config', file, '--workers', String(workers)]
  const team = createTeam({ file, text, workers }, { log, args, env: { [marker]: String(process.pid) } })
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
    await closeLogOutput(output)
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
