import type { SeenRequest } from '../harness/seen-request.ts'

/**
 * What is wrong with a request that an upstream saw: it came without the gateway's token, or with one that had expired
 * by `now` (milliseconds). `undefined` if nothing is. The server issued it at some time within a second, and its `exp`
 * counts from the beginning of that.
 */
export function tokenFault(seen: Pick<SeenRequest, 'headers'>, now: number): 'no token' | 'expired' | undefined {
  const [, payload] = /^Bearer eyJ[\w-]*\.([\w-]+)\.[\w-]+$/.exec(seen.headers.authorization ?? '') ?? []
  if (payload === undefined) return 'no token'
  const { exp }: { exp?: unknown } = JSON.parse(Buffer.from(payload, 'base64url').toString())
  return typeof exp === 'number' && (exp + 1) * 1000 > now ? undefined : 'expired'
}
