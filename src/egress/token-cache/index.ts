import { z } from 'zod'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { duration } from '../../base/scalars.ts'
import type { TokenCache } from './define.ts'
import { createMemoryTokenCache } from './memory.ts'
import { createRedisTokenCache } from './redis.ts'
import { redisOptions } from './redis-options.ts'
import type { SharedRedis } from './shared-redis.ts'

/** How access tokens are kept. */
export const tokenCacheOptions = z
  .strictObject({
    refresh_before_expiry: duration()
      .prefault('60s')
      .describe('how long before its expiry a used token is renewed; never more than half of its lifetime'),
    default_expires_in: duration().prefault('5m').describe('how long a token counts as good whose server does not say'),
    redis: redisOptions.optional().describe('shares tokens between processes; without it each process has its own'),
  })
  .prefault({})

export type TokenCacheOptions = z.output<typeof tokenCacheOptions>

/** The token cache that the configuration asks for; in the Redis that is shared already, if there is one. */
export function createTokenCache(
  { redis }: TokenCacheOptions,
  context: { readonly clock: Clock; readonly log: Log },
  shared?: SharedRedis,
): TokenCache {
  return redis ? createRedisTokenCache(redis, context, shared) : createMemoryTokenCache()
}
