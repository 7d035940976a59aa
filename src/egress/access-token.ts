import { Secret } from '../base/secret.ts'

/** An access token that the gateway obtained. Times are milliseconds since the epoch. */
export interface AccessToken {
  readonly value: Secret
  /** From here on it is renewed in the background, if it is in use. */
  readonly renewAt: number
  /** From here on it goes out no more: the last 5 s or 10 % of its life, whichever is shorter, are for the way. */
  readonly usableUntil: number
}

/** A longer life than this is not believed: nobody would notice that such a token was revoked. */
const longestLife = 24 * 3_600_000

export interface Lifetime {
  /** When the token was asked for; its life is counted from there, for the answer took its time. */
  readonly sentAt: number
  /** Seconds, as the server said. */
  readonly expiresIn: number | undefined
  readonly defaultExpiresIn: number
  readonly renewBeforeExpiry: number
  /** From 0 to 1: spreads renewals, so that tokens obtained together are not renewed together. */
  readonly jitter: number
}

/** A token with its times worked out. */
export function createAccessToken(
  value: string,
  { sentAt, expiresIn, defaultExpiresIn, renewBeforeExpiry, jitter }: Lifetime,
): AccessToken {
  const life = Math.min(expiresIn === undefined ? defaultExpiresIn : expiresIn * 1000, longestLife)
  const usableUntil = sentAt + life - Math.min(5000, life / 10)
  const renewBefore = Math.min(renewBeforeExpiry, life / 2) * (1 - jitter / 5)
  return { value: new Secret(() => value), usableUntil, renewAt: Math.min(usableUntil, sentAt + life - renewBefore) }
}
