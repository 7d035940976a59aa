import { createHmac, randomBytes } from 'node:crypto'
import type { TokenCache } from './define.ts'

/** Nothing is shared: each process keeps its own tokens, under keys that mean nothing to any other one. */
export function createMemoryTokenCache(): TokenCache {
  const secret = randomBytes(32)
  return {
    source: 'memory',
    ready: async () => {},
    keysOf: (canonicalRequest) => [createHmac('sha256', secret).update(canonicalRequest).digest('base64url')],
    get: async () => undefined,
    set: async () => {},
    remove: async () => {},
    acquire: async () => ({ state: 'unavailable' }),
    settled: async () => {},
    close: async () => {},
  }
}
