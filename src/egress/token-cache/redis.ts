import { randomUUID } from 'node:crypto'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { AccessToken } from '../access-token.ts'
import type { HeldLease, Lease, TokenCache } from './define.ts'
import { type CacheKey, createRedisConnection } from './redis-connection.ts'
import type { RedisOptions } from './redis-options.ts'
import {
  extendLease,
  giveLeaseBack,
  readEntry,
  removeIfSame,
  takeLease,
  timeLeft,
  writeUnlessShorter,
} from './redis-scripts.ts'
import { adjustToClock } from './stored-token.ts'
import { createTokenEncryption } from './token-encryption.ts'

const leaseLife = 2000
const extensionInterval = 500
/** A signal may get lost: so often one looks whether the lease is still there. */
const lookInterval = 250

/**
 * Tokens that processes share in a Redis: encrypted, under names that mean nothing. Connects in the background; a Redis
 * that is not there, or has trouble, is as if nothing were in it.
 */
export function createRedisTokenCache(
  options: RedisOptions,
  { clock, log }: { readonly clock: Clock; readonly log: Log },
): TokenCache {
  const encryption = createTokenEncryption(options.encryption_keys)
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

  /** What stands under a name, and how long still (milliseconds). */
  async function look(name: string): Promise<{ readonly sealed: string; readonly left: number } | undefined> {
    const entry = await redis.evaluate(readEntry, keyOf(name, 'token'))
    const [sealed, left] = Array.isArray(entry?.answer) ? (entry.answer as unknown[]) : []
    return typeof sealed === 'string' ? { sealed, left: Number(left) } : undefined
  }

  async function read(name: string): Promise<AccessToken | undefined> {
    const entry = await look(name)
    if (!entry) return undefined
    const token = encryption.open(name, entry.sealed)
    if (token) return adjustToClock(token, entry.left, clock.now())
    // Nobody can read it, and it would keep the next token out if it lasted longer.
    await redis.evaluate(removeIfSame, keyOf(name, 'token'), entry.sealed)
    return undefined
  }

  /** Under the name of an older key, too, it would be found in place of its successor. */
  async function remove(names: readonly string[], refused: AccessToken): Promise<void> {
    for (const name of names) {
      const entry = await look(name)
      if (entry && encryption.open(name, entry.sealed)?.id === refused.id)
        await redis.evaluate(removeIfSame, keyOf(name, 'token'), entry.sealed)
    }
  }

  async function take(name: string): Promise<Lease> {
    const holder = randomUUID()
    const taken = await redis.evaluate(takeLease, keyOf(name, 'lease'), holder, String(leaseLife))
    if (!taken) return { state: 'unavailable' }
    return taken.answer === 1 ? hold(name, holder) : { state: 'busy' }
  }

  function hold(name: string, holder: string): HeldLease {
    const key = keyOf(name, 'lease')
    let cancel = () => {}
    const extend = async () => {
      const kept = await redis.evaluate(extendLease, key, holder, String(leaseLife))
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
    keysOf: encryption.namesOf,
    async get(names) {
      const tokens = await Promise.all(names.map(read))
      return tokens.reduce(
        (best, token) => ((token?.usableUntil ?? 0) > (best?.usableUntil ?? 0) ? token : best),
        undefined,
      )
    },
    async set(names, token, refused) {
      const [name = ''] = names
      if (refused) await remove(names, refused)
      const life = Math.floor(token.usableUntil - clock.now())
      if (life > 0)
        await redis.evaluate(writeUnlessShorter, keyOf(name, 'token'), encryption.seal(name, token), String(life))
    },
    async acquire(names) {
      const held: HeldLease[] = []
      const release = async () => void (await Promise.all(held.map((lease) => lease.release())))
      // While encryption keys are exchanged some know the request by one name only. All in one order: nobody waits in a ring.
      for (const name of names.toSorted()) {
        const lease = await take(name)
        if (lease.state === 'held') held.push(lease)
        else {
          await release()
          return lease
        }
      }
      return { state: 'held', release }
    },
    settled: async (names, milliseconds) => void (await Promise.all(names.map((name) => wait(name, milliseconds)))),
    ready: redis.settled,
    async close() {
      redis.close()
    },
  }
}
