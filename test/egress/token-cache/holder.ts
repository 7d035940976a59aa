import { systemClock } from '../../../src/base/clock.ts'
import { createLog } from '../../../src/base/log.ts'
import { tokenCacheOptions } from '../../../src/egress/token-cache/index.ts'
import { createRedisTokenCache } from '../../../src/egress/token-cache/redis.ts'

/** A process of its own that takes a lease, says so, and keeps it. */
const { redis } = tokenCacheOptions.parse({ redis: JSON.parse(process.env.BLOCK ?? '') })
if (!redis) throw new TypeError('no Redis was named')
const cache = createRedisTokenCache(redis, { clock: systemClock, log: createLog({ write: () => {} }) })
await cache.ready()
const lease = await cache.acquire(cache.keysOf(process.env.REQUEST ?? ''))
process.stdout.write(lease.state)
