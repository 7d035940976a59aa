import { type AccessToken, createAccessToken } from '../access-token.ts'

/** A token as text, to be encrypted. */
export function serialiseToken({ id, value, obtainedAt, life, scope }: AccessToken): string {
  return JSON.stringify({ id, value: value.read(), obtainedAt, life, scope })
}

/** The token again, or `undefined` for text that is none. */
export function parseToken(text: string): AccessToken | undefined {
  try {
    const { id, value, obtainedAt, life, scope } = JSON.parse(text) as Record<string, unknown>
    if (typeof id !== 'string' || typeof value !== 'string' || value === '') return undefined
    if (!Number.isFinite(obtainedAt) || !Number.isFinite(life)) return undefined
    const granted = typeof scope === 'string' ? scope : undefined
    return createAccessToken(value, { id, obtainedAt: Number(obtainedAt), life: Number(life), scope: granted })
  } catch {
    return undefined
  }
}

/** A second is the way's own time, and no difference between clocks. */
const leastDifference = 1000

/**
 * The token as the clock of this machine sees it: who kept it may have another time of day, but how long it is good for
 * still (milliseconds) is the same everywhere. Never makes it good for longer than it says itself.
 */
export function adjustToClock(token: AccessToken, goodFor: number, now: number): AccessToken {
  const difference = token.usableUntil - (now + goodFor)
  if (difference < leastDifference) return token
  return createAccessToken(token.value.read(), { ...token, obtainedAt: token.obtainedAt - difference })
}
