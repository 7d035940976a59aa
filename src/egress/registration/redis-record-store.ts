import type { SharedRedis } from '../token-cache/shared-redis.ts'
import { type RecordStore, StoreFault } from './record-store.ts'

/** Long enough for a registration that goes on while its process has no time to say so. */
const leaseLife = 10_000

const readRecord = "return redis.call('get', KEYS[1])"

/** Writes a value (2) in the place of the one that was seen (1); no text is no value. 1, or 0 if it is another one. */
const replaceRecord = `
if (redis.call('get', KEYS[1]) or '') ~= ARGV[1] then return 0 end
if ARGV[2] == '' then redis.call('del', KEYS[1]) else redis.call('set', KEYS[1], ARGV[2]) end
return 1`

/** Records in the Redis that processes share. */
export function createRedisRecordStore(redis: SharedRedis): RecordStore {
  const keyOf = (name: string) => redis.keyOf(name, 'registration')

  async function evaluate(script: string, name: string, ...args: readonly string[]): Promise<unknown> {
    const evaluated = await redis.evaluate(script, keyOf(name), ...args)
    if (!evaluated) throw gone()
    return evaluated.answer
  }

  return {
    ready: redis.ready,
    placeOf: (name) => `${keyOf(name).key} in Redis`,
    async get(name) {
      const found = await evaluate(readRecord, name)
      return typeof found === 'string' ? found : undefined
    },
    replace: async (name, seen = '', next = '') => (await evaluate(replaceRecord, name, seen, next)) === 1,
    async acquire(name) {
      const lease = await redis.acquire([name], leaseLife)
      if (lease.state === 'unavailable') throw gone()
      return lease
    },
    settled: (name, milliseconds) => redis.settled([name], milliseconds),
  }
}

function gone(): StoreFault {
  return new StoreFault('registrations are kept in Redis, which cannot be had')
}
