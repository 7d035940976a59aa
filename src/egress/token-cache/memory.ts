import { createHmac, randomBytes } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import type { AccessToken } from '../access-token.ts'
import type { TokenCache } from './define.ts'

const mostTokens = 10_000

/** Tokens in this process alone, bounded in number; the longest unused goes first. */
export function createMemoryTokenCache(): TokenCache {
  const tokens = new LRUCache<string, AccessToken>({ max: mostTokens })
  const secret = randomBytes(32)
  return {
    keyOf: (canonicalRequest) => createHmac('sha256', secret).update(canonicalRequest).digest('base64url'),
    get: (key) => tokens.get(key),
    set: (key, token) => void tokens.set(key, token),
    clear: () => tokens.clear(),
  }
}
