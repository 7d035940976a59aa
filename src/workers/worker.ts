import type { MetricSnapshot } from '../admin/metrics.ts'
import { systemClock } from '../base/clock.ts'
import { createLog, createLogOutput, type LogOutput } from '../base/log.ts'
import { stopOnSignal } from '../base/stop-signals.ts'
import { parseConfig } from '../config/load.ts'
import { createPrimaryTokenCache } from '../egress/token-cache/primary.ts'
import { type OpenListeners, openListeners } from '../server.ts'
import { createLink, type Link } from './link.ts'
import type { PrimaryQuestion, Task, WorkerQuestion } from './messages.ts'
import { shareOf } from './share.ts'

/** One of several processes that serve the same listeners. Node ends it should its primary die. */
export async function runWorker(): Promise<void> {
  // What a terminal sends, it sends to all of its processes: the primary tells of it.
  process.on('SIGHUP', () => {})
  const output = createLogOutput(1, { shared: true })
  let stop = (): void => process.exit(0)
  let metrics = async (): Promise<MetricSnapshot> => []
  const primary = createLink<WorkerQuestion, PrimaryQuestion>(process, ({ kind }) => {
    if (kind === 'metrics') return metrics()
    stop()
    return undefined
  })
  // Without a primary this process ends, and nothing is to be told.
  const tell = (what: WorkerQuestion) => primary.ask(what).catch(() => undefined)
  const task = (await primary.ask({ kind: 'task' })) as Task
  let listeners: OpenListeners
  try {
    listeners = await open(task, primary, output)
  } catch (error) {
    await tell({ kind: 'failed', message: (error as Error).message })
    process.exit(1)
  }
  const { gateway, addresses } = listeners
  metrics = () => gateway.countedMetrics()
  let isLeaving = false
  const leave = async () => {
    if (isLeaving) return
    isLeaving = true
    await tell({ kind: 'leaving' })
    const cutOff = await listeners.stop()
    await tell({ kind: 'left', cutOff, metrics: await metrics() })
    await output.close()
    process.exit(0)
  }
  stop = () => void leave()
  stopOnSignal(() => stop())
  await tell({ kind: 'serving', addresses })
  // It takes long to load, and requests can be served without.
  const { processSnapshot } = await import('../admin/process-metrics.ts')
  metrics = async () => [...(await gateway.countedMetrics()), ...(await processSnapshot())]
}

function open(task: Task, primary: Link<WorkerQuestion>, output: LogOutput): Promise<OpenListeners> {
  const [main = { file: '', text: '' }, ...included] = task.texts
  const config = parseConfig(main.text, { file: main.file, included })
  return openListeners(shareOf(config, task), {
    log: createLog(output, 'info', { worker: task.worker }),
    tokenCache: config.token_cache.redis
      ? undefined
      : createPrimaryTokenCache({
          ask: (question) => primary.ask({ kind: 'tokens', question }),
          secret: task.secret,
          clock: systemClock,
        }),
  })
}
