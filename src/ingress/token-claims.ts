import { type ClaimPath, readClaim } from '../base/claim-path.ts'
import type { AccessTokenOptions } from './access-token-options.ts'
import { invalidToken } from './invalid-token.ts'
import type { JsonObject } from './strict-json.ts'

/** When a token whose times are valid is so no more, in milliseconds since the epoch. */
export function goodUntil(
  { exp, iat }: JsonObject,
  { max_age: maxAge, clock_tolerance: tolerance }: AccessTokenOptions,
) {
  const oldest = maxAge === undefined ? Number.POSITIVE_INFINITY : Number(iat) * 1000 + maxAge
  return Math.min(Number(exp) * 1000, oldest) + tolerance
}

/** What a token says of itself that is looked for in configured places. */
export interface TokenSubject {
  readonly claims: JsonObject
  readonly clientId: string | undefined
}

/**
 * Checks the claims of a token whose signature is good, but for its times: that it is an access token, and for us.
 * @throws {GatewayError} `invalid_token`
 * @see https://www.rfc-editor.org/rfc/rfc9068#section-4
 */
export function requireValidClaims({ claims, clientId }: TokenSubject, options: AccessTokenOptions): void {
  const fault =
    kindFault(claims) ??
    wrongTypeFault(claims) ??
    (options.strict ? profileFault(claims) : undefined) ??
    audienceFault(claims, options.audience) ??
    clientFault(clientId, options.client_ids) ??
    absenceFault(claims, options.required_claims)
  if (fault !== undefined) throw invalidToken(fault)
}

/**
 * Checks the times of a token, in milliseconds since the epoch: each time it comes, since what was good may have expired.
 * @throws {GatewayError} `invalid_token`
 */
export function requireValidTimes(claims: JsonObject, options: AccessTokenOptions, now: number): void {
  const tolerance = options.clock_tolerance / 1000
  const fault =
    timeFault(claims, now / 1000, tolerance) ??
    (options.max_age === undefined ? undefined : ageFault(claims, now / 1000, options.max_age / 1000 + tolerance))
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

/** @see https://www.rfc-editor.org/rfc/rfc7519#section-4.1 */
const textClaims = ['sub', 'jti']

function wrongTypeFault(claims: JsonObject): string | undefined {
  const found = textClaims.find((name) => Object.hasOwn(claims, name) && typeof claims[name] !== 'string')
  return found === undefined ? undefined : `its ${found} is not text`
}

/** What a token of the profile has; `aud` and `exp` are asked of every token. @see https://www.rfc-editor.org/rfc/rfc9068#section-2.2 */
const profileTextClaims = ['iss', 'sub', 'client_id', 'jti']

function profileFault(claims: JsonObject): string | undefined {
  const found = profileTextClaims.find((name) => typeof claims[name] !== 'string' || claims[name] === '')
  if (found !== undefined) return `it has no ${found}, which strict asks for`
  if (claims.iat === undefined) return 'it has no iat, which strict asks for'
  return claims.scope === undefined || typeof claims.scope === 'string' ? undefined : 'its scope is not text'
}

function clientFault(clientId: string | undefined, accepted: readonly string[] | undefined): string | undefined {
  if (!accepted || (clientId !== undefined && accepted.includes(clientId))) return undefined
  return clientId === undefined
    ? 'it names no client, and only those of client_ids are accepted'
    : `its client ${JSON.stringify(clientId).slice(0, 200)} is none of client_ids`
}

/** A claim that is null says as little as one that is not there. */
function absenceFault(claims: JsonObject, required: readonly ClaimPath[] = []): string | undefined {
  const found = required.find((path) => (readClaim(claims, path) ?? null) === null)
  return found && `it lacks the claim ${found.join('.')}, which is required`
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

/** For how long a stolen token is of use should not be the word of its server alone. */
function ageFault({ iat }: JsonObject, now: number, most: number): string | undefined {
  if (!isDate(iat)) return 'it has no iat, which max_age asks for'
  return iat <= now - most ? 'it was issued longer ago than max_age' : undefined
}

/** JSON's 1e400 is Infinity here, and would never expire. @see https://www.rfc-editor.org/rfc/rfc7519#section-2 */
function isDate(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value <= latest
}
