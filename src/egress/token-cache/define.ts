import type { AccessToken } from '../access-token.ts'

/** Where access tokens are kept until they expire. */
export interface TokenCache {
  /** The key of a token request: an HMAC-SHA-256 over its canonical form, so that no key tells what it is for. */
  keyOf(canonicalRequest: string): string
  get(key: string): AccessToken | undefined
  set(key: string, token: AccessToken): void
  clear(): void
}
