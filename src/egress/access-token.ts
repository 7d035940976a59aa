import { randomUUID } from 'node:crypto'
import { Secret } from '../base/secret.ts'

/** An access token that was obtained for an upstream. Times are milliseconds since the epoch, a life is milliseconds. */
export interface AccessToken {
  /** Tells it from its successors. */
  readonly id: string
  readonly value: Secret
  /** When it was asked for: its life is counted from there, for the answer took its time. */
  readonly obtainedAt: number
  readonly life: number
  /** What was granted, where the server said so. */
  readonly scope: string | undefined
  /** From here on it goes out no more: the last 5 s or 10 % of its life, whichever is shorter, are for the way. */
  readonly usableUntil: number
}

/** A token as it came, or as it was kept. */
export function createAccessToken(
  value: string,
  {
    id = randomUUID(),
    obtainedAt,
    life,
    scope,
  }: Pick<AccessToken, 'obtainedAt' | 'life'> & Partial<Pick<AccessToken, 'id' | 'scope'>>,
): AccessToken {
  return {
    id,
    value: new Secret(() => value),
    obtainedAt,
    life,
    scope,
    usableUntil: obtainedAt + life - Math.min(5000, life / 10),
  }
}

/** The same token, good until `end` at the most. */
export function endingBy(token: AccessToken, end: number | undefined): AccessToken {
  if (end === undefined || token.obtainedAt + token.life <= end) return token
  return createAccessToken(token.value.read(), { ...token, life: end - token.obtainedAt })
}

/** When it expires; of a token that came without life, which serves those who waited for it, nobody knows. */
export function expiryOf({ obtainedAt, life }: AccessToken): number | undefined {
  return life > 0 ? obtainedAt + life : undefined
}

/** True once it goes out no more. */
export function isSpent({ life, usableUntil }: AccessToken, now: number): boolean {
  return life > 0 && usableUntil <= now
}

/** A longer life than this is not believed: nobody would notice that such a token was revoked. */
const longestLife = 24 * 3_600_000

/** The life that a server's `expires_in` (seconds) means. */
export function lifeOf(expiresIn: number | undefined, defaultLife: number): number {
  const life = expiresIn === undefined ? defaultLife : expiresIn * 1000
  return Math.min(Math.max(life, 0), longestLife)
}

/**
 * When a token in use is renewed: so long before its expiry, never before half of its life, and, by `jitter` (0 to 1), up
 * to a fifth of that later, so that tokens obtained together are not renewed together.
 */
export function renewalTime(
  { obtainedAt, life, usableUntil }: AccessToken,
  beforeExpiry: number,
  jitter: number,
): number {
  return Math.min(usableUntil, obtainedAt + life - Math.min(beforeExpiry, life / 2) * (1 - jitter / 5))
}
