import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import type { AccessToken } from '../access-token.ts'
import type { TokenCache } from './define.ts'
import type { RedisOptions } from './redis-options.ts'
import { readEntry, removeIfSame, writeUnlessShorter } from './redis-scripts.ts'
import { createSharedRedis, type SharedRedis } from './shared-redis.ts'
import { adjustToClock } from './stored-token.ts'
import { createTokenEncryption } from './token-encryption.ts'

const leaseLife = 2000

/**
 * Tokens that processes share in a Redis: encrypted, under names that mean nothing. Connects in the background; a Redis
 * that is not there, or has trouble, is as if nothing were in it.
 */
export function createRedisTokenCache(
  options: RedisOptions,
  context: { readonly clock: Clock; readonly log: Log },
  redis: SharedRedis = createSharedRedis(options, context),
): TokenCache {
  const { clock } = context
  const { keyOf } = redis
  const encryption = createTokenEncryption(options.encryption_keys)

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
  async function remove(names: readonly string[], { id }: AccessToken): Promise<void> {
    for (const name of names) {
      const entry = await look(name)
      if (entry && encryption.open(name, entry.sealed)?.id === id)
        await redis.evaluate(removeIfSame, keyOf(name, 'token'), entry.sealed)
    }
  }

  return {
    source: 'redis',
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
    remove,
    acquire: (names) => redis.acquire(names, leaseLife),
    settled: redis.settled,
    ready: redis.ready,
    async close() {
      redis.close()
    },
  }
}
