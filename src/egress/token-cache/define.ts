import type { AccessToken } from '../access-token.ts'
import type { Lease } from '../leases.ts'

/**
 * What processes share of their tokens. It cannot hurt: whatever goes wrong with it counts as a miss, so nothing here
 * ever rejects, and none of it takes long.
 */
export interface TokenCache {
  /** Where a token from here came from, for logs and metrics. */
  readonly source: 'memory' | 'redis'
  /** Resolves, soon, once it is known whether there is anything to share with. */
  ready(): Promise<void>
  /**
   * The keys of a token request, from its canonical form: HMAC-SHA-256, so that no key tells what it is for. The first is
   * written, all are read: there are several while encryption keys are exchanged.
   */
  keysOf(canonicalRequest: string): readonly string[]
  get(keys: readonly string[]): Promise<AccessToken | undefined>
  /** Never replaces a token that expires later, unless that is the one which an upstream refused. */
  set(keys: readonly string[], token: AccessToken, refused?: AccessToken): Promise<void>
  /** Removes the token, unless another one stands in its place by now. */
  remove(keys: readonly string[], token: AccessToken): Promise<void>
  acquire(keys: readonly string[]): Promise<Lease>
  /** Resolves once whoever holds the lease is done, or the lease is over, or after so many milliseconds. */
  settled(keys: readonly string[], milliseconds: number): Promise<void>
  close(): Promise<void>
}
