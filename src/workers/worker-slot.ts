import cluster, { type Worker } from 'node:cluster'
import { setTimeout as pause } from 'node:timers/promises'
import type { MetricSnapshot } from '../admin/metrics.ts'
import { withEnded } from '../admin/summed-metrics.ts'
import { errorTrail, type Log } from '../base/log.ts'
import type { PrimaryTokens } from '../egress/token-cache/primary-tokens.ts'
import { createBackOff } from './back-off.ts'
import { createLink, type Link } from './link.ts'
import type { PrimaryQuestion, Task, WorkerQuestion } from './messages.ts'

export type Addresses = (WorkerQuestion & { readonly kind: 'serving' })['addresses']

/** A place for one worker, which is taken by another one when it ends. */
export interface WorkerSlot {
  /** Resolves once there is one that serves; rejects if the first one ends before it does. */
  readonly served: Promise<Addresses>
  isServing(): boolean
  /** What its workers have counted: as it was last, where the one of now does not answer soon. */
  metrics(): Promise<MetricSnapshot[]>
  /** Lets what is in flight finish. Resolves with the number of requests cut off once the process is gone, which it is after `grace`. */
  stop(grace: number): Promise<number>
  /** Ends the process at once. */
  kill(): Promise<void>
}

export interface WorkerSlotContext {
  readonly log: Log
  readonly tokens: PrimaryTokens
  /** What the processes have in their environment beside that of this one. */
  readonly env: Readonly<Record<string, string>>
  /** Told of each worker that serves, and of each that has ended by itself. */
  started(addresses: Addresses): void
  ended(): void
}

/** One process in the slot. */
interface Life {
  readonly worker: Worker
  readonly link: Link<PrimaryQuestion>
  readonly startedAt: number
  readonly over: Promise<void>
  finish(): void
  serving: boolean
  metrics: MetricSnapshot
  cutOff: number
  /** Why it cannot serve. */
  fault?: string
}

const metricsPatience = 500
/** Beyond the grace, for what a worker does when it leaves. */
const killDelay = 5000

export function createWorkerSlot(task: Task, { log, tokens, env, started, ended }: WorkerSlotContext): WorkerSlot {
  const { worker: number } = task
  const backOff = createBackOff()
  const first = Promise.withResolvers<Addresses>()
  let hasServed = false
  let stopping = false
  let life: Life | undefined
  let timer: NodeJS.Timeout | undefined
  let before: Promise<MetricSnapshot> = Promise.resolve([])

  function start(): void {
    const startedAt = performance.now()
    try {
      life = begin(cluster.fork(env), startedAt)
    } catch (error) {
      again({ reason: errorTrail(error) }, 0)
    }
  }

  function begin(worker: Worker, startedAt: number): Life {
    const { promise: over, resolve: finish } = Promise.withResolvers<void>()
    const link = createLink<PrimaryQuestion, WorkerQuestion>(worker.process, (question) => answer(own, question))
    const own: Life = { worker, link, startedAt, over, finish, serving: false, metrics: [], cutOff: 0 }
    worker.once('exit', (code, signal) => end(own, { code, signal }))
    worker.on('error', (error) => {
      // Without a process there is no exit.
      if (worker.process.pid === undefined) end(own, { reason: errorTrail(error) })
    })
    return own
  }

  function answer(from: Life, question: WorkerQuestion): unknown {
    switch (question.kind) {
      case 'task':
        return task
      case 'tokens':
        return tokens.answer(from, question.question)
      case 'serving':
        return serve(from, question.addresses)
      case 'failed':
        from.fault = question.message
        return
      case 'leaving':
        from.serving = false
        return
      case 'left':
        from.cutOff = question.cutOff
        from.metrics = question.metrics
        return
    }
  }

  function serve(from: Life, addresses: Addresses): void {
    from.serving = true
    log.info({ worker: number, pid: from.worker.process.pid }, 'worker started')
    hasServed = true
    first.resolve(addresses)
    started(addresses)
  }

  function end(from: Life, how: { readonly code?: number; readonly signal?: string; readonly reason?: string }): void {
    if (life !== from) return
    life = undefined
    tokens.forget(from)
    before = before.then((counted) => withEnded(counted, from.metrics))
    from.finish()
    const { code, signal, reason = from.fault } = how
    const pid = from.worker.process.pid
    again({ pid, code, signal, reason, cut_off: from.cutOff }, performance.now() - from.startedAt)
  }

  function again(how: Readonly<Record<string, unknown>>, lived: number): void {
    if (stopping) return
    if (!hasServed) {
      const why = how.reason ?? `a worker ended before it served (${how.signal ?? how.code})`
      first.reject(new Error(String(why)))
      return
    }
    const wait = backOff.next(lived)
    log.warn({ worker: number, ...how, restart_in_ms: wait }, 'worker ended')
    ended()
    timer = setTimeout(start, wait)
  }

  /** No other one is started from now on. */
  function quit(): Life | undefined {
    stopping = true
    clearTimeout(timer)
    return life
  }

  start()
  return {
    served: first.promise,
    isServing: () => life?.serving === true,
    async metrics() {
      const own = life
      const answered = own?.link.ask({ kind: 'metrics' }).then(
        (counted) => {
          own.metrics = counted as MetricSnapshot
        },
        () => {},
      )
      await Promise.race([answered, pause(metricsPatience, undefined, { ref: false })])
      // Both at one moment: what it has counted stands in the one or the other.
      const [ended, present] = [before, own && own === life ? [own.metrics] : []]
      return [await ended, ...present]
    },
    async stop(grace) {
      const last = quit()
      if (!last) return 0
      last.link.ask({ kind: 'stop' }).catch(() => {})
      const kill = setTimeout(() => last.worker.process.kill('SIGKILL'), grace + killDelay)
      await last.over
      clearTimeout(kill)
      return last.cutOff
    },
    async kill() {
      const last = quit()
      last?.worker.process.kill('SIGKILL')
      await last?.over
    },
  }
}
