import { setTimeout as pause } from 'node:timers/promises'
import type { Clock } from '../../base/clock.ts'
import type { HeldLease } from '../leases.ts'
import type { SharedRedis } from '../token-cache/shared-redis.ts'
import { type RecordStore, StoreFault } from './record-store.ts'

/** Long enough for a registration that goes on while its process has no time to say so. */
const leaseLife = 10_000
/** A token can do without Redis, a registration cannot: so long one that is slow, or being connected, is waited for. */
const patience = 2000
const interval = 100

const readRecord = "return redis.call('get', KEYS[1])"

/**
 * Writes a value (2) in the place of the one that was seen (1); no text is no value. 1, or 0 if it is another one. It may
 * have been done already, and the answer have come too late.
 */
const replaceRecord = `
local now = redis.call('get', KEYS[1]) or ''
if now == ARGV[2] then return 1 end
if now ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('del', KEYS[1]) else redis.call('set', KEYS[1], ARGV[2]) end
return 1`

/** Records in the Redis that processes share. */
export function createRedisRecordStore(redis: SharedRedis, clock: Clock): RecordStore {
  const keyOf = (name: string) => redis.keyOf(name, 'registration')

  async function insist<Value>(work: () => Promise<Value | undefined>): Promise<Value> {
    const until = clock.elapsed() + patience
    for (;;) {
      const value = await work()
      if (value !== undefined) return value
      if (clock.elapsed() >= until) throw new StoreFault('registrations are kept in Redis, which cannot be had')
      await pause(interval)
    }
  }

  const evaluate = async (script: string, name: string, ...args: readonly string[]) =>
    (await insist(() => redis.evaluate(script, keyOf(name), ...args))).answer

  return {
    ready: redis.ready,
    placeOf: (name) => `${keyOf(name).key} in Redis`,
    async get(name) {
      const found = await evaluate(readRecord, name)
      return typeof found === 'string' ? found : undefined
    },
    replace: async (name, seen = '', next = '') => (await evaluate(replaceRecord, name, seen, next)) === 1,
    acquire: (name) =>
      insist<HeldLease | { readonly state: 'busy' }>(async () => {
        const lease = await redis.acquire([name], leaseLife)
        return lease.state === 'unavailable' ? undefined : lease
      }),
    settled: (name, milliseconds) => redis.settled([name], milliseconds),
  }
}
