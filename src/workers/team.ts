import cluster from 'node:cluster'
import { randomBytes } from 'node:crypto'
import { processSnapshot } from '../admin/process-metrics.ts'
import { createWorkerMetrics, sumMetrics } from '../admin/summed-metrics.ts'
import { systemClock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { createPrimaryTokens } from '../egress/token-cache/primary-tokens.ts'
import type { Task } from './messages.ts'
import { type Addresses, createWorkerSlot, type WorkerSlot } from './worker-slot.ts'

/** All workers of this process. */
export interface Team {
  /** Resolves once every one of them serves; rejects if one ends before it does. */
  readonly served: Promise<Addresses>
  /** How many take requests. */
  serving(): number
  /** What they and this process have counted, as text for Prometheus. */
  metrics(): Promise<string>
  /** Lets what is in flight finish. Resolves with the number of requests cut off once the processes are gone. */
  stop(grace: number): Promise<number>
  /** Ends the processes at once. */
  kill(): Promise<void>
}

export interface TeamContext {
  readonly log: Log
  /** The arguments and the variables by which a process knows that it is a worker. */
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
}

/** Starts so many workers. */
export function createTeam({ texts, workers }: Pick<Task, 'texts' | 'workers'>, { log, args, env }: TeamContext): Team {
  // All accept from one socket. Handed over by this process, a connection would be lost with the worker that it was meant for.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({ args: [...args], serialization: 'advanced' })
  const secret = randomBytes(32).toString('base64')
  const tokens = createPrimaryTokens(systemClock)
  const counted = createWorkerMetrics(serving)
  const started = createMoveTeller(log)
  const ended = () => counted.countEnd()
  const slots: readonly WorkerSlot[] = Array.from({ length: workers }, (_, index) =>
    createWorkerSlot({ texts, secret, worker: index + 1, workers }, { log, tokens, env, started, ended }),
  )

  function serving(): number {
    return slots.filter((slot) => slot.isServing()).length
  }

  return {
    served: Promise.all(slots.map((slot) => slot.served)).then(([addresses = new Map()]) => addresses),
    serving,
    async metrics() {
      const ofWorkers = await Promise.all(slots.map((slot) => slot.metrics()))
      return sumMetrics([await processSnapshot(), await counted.snapshot(), ...ofWorkers.flat()])
    },
    async stop(grace) {
      const cut = await Promise.all(slots.map((slot) => slot.stop(grace)))
      return cut.reduce((sum, count) => sum + count, 0)
    },
    kill: async () => void (await Promise.all(slots.map((slot) => slot.kill()))),
  }
}

/** Where port 0 was asked for, and all workers have ended, the next one gets another port. */
function createMoveTeller(log: Log): (addresses: Addresses) => void {
  const known = new Map<string, number>()
  return (addresses) => {
    for (const [listener, { address, port }] of addresses) {
      if ((known.get(listener) ?? port) !== port) log.info({ listener, address, port }, 'listening')
      known.set(listener, port)
    }
  }
}
