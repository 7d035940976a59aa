import type { AccessTokenOptions } from './access-token-options.ts'
import { invalidToken } from './invalid-token.ts'
import type { JsonObject } from './strict-json.ts'

/**
 * Checks the claims of a token whose signature is good: that it is an access token, for us, and now.
 * @throws {GatewayError} `invalid_token`
 * @see https://www.rfc-editor.org/rfc/rfc9068#section-4
 */
export function requireValidClaims(claims: JsonObject, options: AccessTokenOptions, now: number): void {
  const fault =
    kindFault(claims) ??
    audienceFault(claims, options.audience) ??
    timeFault(claims, now / 1000, options.clock_tolerance / 1000)
  if (fault !== undefined) throw invalidToken(fault)
}

/** An ID token tells a client who somebody is. Taken as an access token, it would let any such client act as them. */
const idTokenClaims = ['nonce', 'at_hash', 'c_hash', 's_hash']
/** Keycloak signs all of its tokens with the same keys, and tells them apart by this claim alone. */
const otherTypes = ['id', 'refresh', 'offline', 'logout']

function kindFault(claims: JsonObject): string | undefined {
  const found = idTokenClaims.find((name) => Object.hasOwn(claims, name))
  if (found !== undefined) return `it is an ID token: it has ${found}`
  if (Object.hasOwn(claims, 'events')) return 'it is a logout or event token: it has events'
  const { typ, token_use: use } = claims
  if (typeof typ === 'string' && otherTypes.includes(typ.toLowerCase()))
    return 'its typ claim is that of an ID, refresh or logout token'
  return use === undefined || use === 'access' ? undefined : 'its token_use is not access'
}

function audienceFault({ aud }: JsonObject, accepted: readonly string[]): string | undefined {
  if (accepted.length === 1 && accepted[0] === 'any') return undefined
  if (aud === undefined) return 'it has no aud'
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  if (!audiences.every((audience) => typeof audience === 'string')) return 'its aud is neither text nor a list of texts'
  return audiences.some((audience) => accepted.includes(audience))
    ? undefined
    : `its aud ${JSON.stringify(aud).slice(0, 200)} is none of the accepted ones`
}

/** The year 9999. What lies beyond is no date but milliseconds, or a token that never expires. */
const latest = 253_402_300_799

function timeFault(claims: JsonObject, now: number, tolerance: number): string | undefined {
  const { exp, nbf, iat } = claims
  if (exp === undefined) return 'it has no exp'
  if (!isDate(exp)) return 'its exp is no date'
  if (nbf !== undefined && !isDate(nbf)) return 'its nbf is no date'
  if (iat !== undefined && !isDate(iat)) return 'its iat is no date'
  if (exp <= now - tolerance) return 'it has expired'
  if (nbf !== undefined && nbf > now + tolerance) return 'it is not valid yet'
  return iat !== undefined && iat > now + tolerance ? 'it was issued in the future' : undefined
}

/** JSON's 1e400 is Infinity here, and would never expire. @see https://www.rfc-editor.org/rfc/rfc7519#section-2 */
function isDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= latest
}
