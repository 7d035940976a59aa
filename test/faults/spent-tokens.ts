import type { SeenRequest } from '../harness/seen-request.ts'

/** What a request takes from the gateway to an upstream, in milliseconds, on a busy machine. */
const way = 250

/** What is wrong with the token of a request. */
export type TokenFault = 'no token' | 'expired' | 'too late'

/**
 * What is wrong with a request that an upstream saw at `now` (milliseconds): it came without the gateway's token, with one
 * that had expired, or with one in its last 5 s or 10 % of life, whichever is shorter. `undefined` if nothing is. When the
 * server issued the token its claim `issued_at` tells to the millisecond; without it, some time within the second of `iat`.
 */
export function tokenFault(seen: Pick<SeenRequest, 'headers'>, now: number): TokenFault | undefined {
  const [, payload] = /^Bearer eyJ[\w-]*\.([\w-]+)\.[\w-]+$/.exec(seen.headers.authorization ?? '') ?? []
  if (payload === undefined) return 'no token'
  const { iat, exp, issued_at: issuedAt = (iat + 1) * 1000 } = readTimes(payload)
  const life = (exp - iat) * 1000
  if (!(now < issuedAt + life)) return 'expired'
  return now < issuedAt + life - Math.min(5000, life / 10) + way ? undefined : 'too late'
}

interface Times {
  readonly iat: number
  readonly exp: number
  readonly issued_at?: number
}

function readTimes(payload: string): Times {
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Times
}
