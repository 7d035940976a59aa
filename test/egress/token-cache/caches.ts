import { randomBytes } from 'node:crypto'
import { afterEach } from 'vitest'
import { type Clock, systemClock } from '../../../src/base/clock.ts'
import { createLog } from '../../../src/base/log.ts'
import { type AccessToken, createAccessToken } from '../../../src/egress/access-token.ts'
import type { TokenCache } from '../../../src/egress/token-cache/define.ts'
import type { TokenCacheOptions } from '../../../src/egress/token-cache/index.ts'
import { tokenCacheOptions } from '../../../src/egress/token-cache/index.ts'
import { createRedisTokenCache } from '../../../src/egress/token-cache/redis.ts'
import { createTestLog, type TestLog } from '../../harness/logs.ts'
import { createSecret, registerSecret } from '../../harness/secrets.ts'

export interface TestCache extends TokenCache {
  readonly log: TestLog
}

type RedisOptions = NonNullable<TokenCacheOptions['redis']>

/** A `token_cache.redis` block as the configuration reads it. */
function redisBlock(block: Record<string, unknown>): RedisOptions {
  const { redis } = tokenCacheOptions.parse({ redis: block })
  if (!redis) throw new TypeError('the block is empty')
  return redis
}

/** A fresh encryption key, registered as a secret. */
export function createKey(): string {
  return registerSecret(randomBytes(32).toString('base64url'))
}

/** A fresh access token, good for so many milliseconds. */
export function createToken(life = 300_000, obtainedAt = Date.now()): AccessToken {
  return createAccessToken(createSecret(), { obtainedAt, life })
}

interface Stoppable {
  stop(): Promise<void>
}

/** Gives caches and Redises, and takes them away after each test. */
export function createCacheKeeper() {
  const kept: (() => Promise<void>)[] = []
  afterEach(async () => {
    await Promise.all(kept.splice(0).map((end) => end()))
  })
  return {
    async keep<Value extends Stoppable>(starting: Promise<Value>): Promise<Value> {
      const value = await starting
      kept.push(() => value.stop())
      return value
    },
    /** A cache, connected or found without Redis. */
    async open(block: Record<string, unknown>, clock: Clock = systemClock): Promise<TestCache> {
      const log = createTestLog()
      const cache = createRedisTokenCache(redisBlock(block), { clock, log: createLog(log) })
      kept.push(() => cache.close())
      await cache.ready()
      return { ...cache, log }
    },
  }
}

/** The value of what is measured, and the milliseconds that it took. */
export async function timed<Value>(work: Promise<Value>): Promise<{ readonly value: Value; readonly took: number }> {
  const start = performance.now()
  const value = await work
  return { value, took: performance.now() - start }
}
