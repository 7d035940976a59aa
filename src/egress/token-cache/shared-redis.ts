import { randomUUID } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { acquireAll, type HeldLease, type Lease } from '../leases.ts'
import { type CacheKey, createRedisConnection, type RedisConnection } from './redis-connection.ts'
import type { RedisOptions } from './redis-options.ts'
import { extendLease, giveLeaseBack, takeLease, timeLeft } from './redis-scripts.ts'

/** A Redis that processes share, and the leases in it. Whatever is kept there has one connection. */
export interface SharedRedis {
  /** Where something of this kind is kept under a name. */
  keyOf(name: string, kind: string): CacheKey
  evaluate: RedisConnection['evaluate']
  /** A lease on all of the names, for so many milliseconds, and for as long as its holder lives. */
  acquire(names: readonly string[], life: number): Promise<Lease>
  /** Resolves once whoever holds the leases is done, or the leases are over, or after so many milliseconds. */
  settled(names: readonly string[], milliseconds: number): Promise<void>
  /** Resolves, soon, once it is known whether Redis is there. */
  ready(): Promise<void>
  close(): void
}

const extensionInterval = 500
/** A signal may get lost: so often one looks whether the lease is still there. */
const lookInterval = 250

/** Connects in the background. */
export function createSharedRedis(
  options: RedisOptions,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): SharedRedis {
  const keyOf = (tag: string, kind: string): CacheKey => ({ key: `${options.key_prefix}{${tag}}:${kind}`, tag })
  const channel = `${options.key_prefix}released`
  const redis = createRedisConnection({
    // Whoever has no Redis does not load what speaks to it.
    createClient: async (events) => (await import('./redis-client.ts')).createRedisClient(options, events),
    probeKey: (tag) => keyOf(tag, 'probe'),
    channel,
    clock,
    log,
  })
  const waiting = new Map<string, Set<() => void>>()
  redis.onMessage((name) => {
    for (const wake of waiting.get(name) ?? []) wake()
  })

  async function take(name: string, life: number): Promise<Lease> {
    const holder = randomUUID()
    const taken = await redis.evaluate(takeLease, keyOf(name, 'lease'), holder, String(life))
    if (!taken) return { state: 'unavailable' }
    return taken.answer === 1 ? hold(name, holder, life) : { state: 'busy' }
  }

  function hold(name: string, holder: string, life: number): HeldLease {
    const key = keyOf(name, 'lease')
    let cancel = () => {}
    const extend = async () => {
      const kept = await redis.evaluate(extendLease, key, holder, String(life))
      // While Redis is away it is tried on: the lease may still be there when it is back.
      if (!released && kept?.answer !== 0) extendLater()
    }
    const extendLater = () => {
      cancel = clock.setTimeout(() => void extend(), extensionInterval)
    }
    let released = false
    extendLater()
    return {
      state: 'held',
      async release() {
        released = true
        cancel()
        await redis.evaluate(giveLeaseBack, key, holder, channel, name)
      },
    }
  }

  function wait(name: string, milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const wakers = waiting.get(name) ?? new Set()
    waiting.set(name, wakers.add(resolve))
    let cancelLook = () => {}
    const look = async () => {
      const left = await redis.evaluate(timeLeft, keyOf(name, 'lease'))
      const milliseconds = Number(left?.answer ?? -1)
      if (milliseconds < 0) resolve()
      else if (wakers.has(resolve))
        cancelLook = clock.setTimeout(() => void look(), Math.min(lookInterval, milliseconds + 1))
    }
    const cancelEnd = clock.setTimeout(resolve, milliseconds)
    // What ended before anybody listened gives no signal any more.
    void look()
    return promise.finally(() => {
      cancelLook()
      cancelEnd()
      wakers.delete(resolve)
      if (wakers.size === 0) waiting.delete(name)
    })
  }

  return {
    keyOf,
    evaluate: redis.evaluate,
    acquire: (names, life) => acquireAll(names, (name) => take(name, life)),
    settled: async (names, milliseconds) => void (await Promise.all(names.map((name) => wait(name, milliseconds)))),
    ready: redis.settled,
    close: () => redis.close(),
  }
}
