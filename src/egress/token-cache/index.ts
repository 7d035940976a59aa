import { z } from 'zod'
import { duration } from '../../base/scalars.ts'
import type { TokenCache } from './define.ts'
import { createMemoryTokenCache } from './memory.ts'

/** How access tokens are kept. */
export const tokenCacheOptions = z
  .strictObject({
    refresh_before_expiry: duration()
      .prefault('60s')
      .describe('how long before its expiry a used token is renewed; never more than half of its lifetime'),
    default_expires_in: duration().prefault('5m').describe('how long a token counts as good whose server does not say'),
  })
  .prefault({})

export type TokenCacheOptions = z.output<typeof tokenCacheOptions>

/** The token cache that the configuration asks for. */
export function createTokenCache(_options: TokenCacheOptions): TokenCache {
  return createMemoryTokenCache()
}
