import type { KeySet } from '../authorization-server/key-set.ts'
import type { PublicKey } from '../authorization-server/public-key.ts'
import { isSignatureAlgorithm, type SignatureAlgorithm } from '../authorization-server/signature-algorithms.ts'
import { readClaim } from '../base/claim-path.ts'
import type { Clock } from '../base/clock.ts'
import { isScopeToken, parseScope } from '../base/scope.ts'
import { follow, type Soon } from '../base/soon.ts'
import { type AccessTokenOptions, acceptedTypes } from './access-token-options.ts'
import { readCompactJwt } from './compact-jwt.ts'
import { invalidToken } from './invalid-token.ts'
import { createRememberedTokens, type RememberedTokens } from './remembered-tokens.ts'
import { createSharedTexts, type SharedTexts } from './shared-texts.ts'
import type { JsonObject } from './strict-json.ts'
import { goodUntil, requireValidClaims, requireValidTimes } from './token-claims.ts'

/** A server whose access tokens are trusted. */
export interface TrustedServer {
  readonly name: string
  /** The exact values of `iss` that are its own. No two servers share one. */
  readonly issuers: readonly string[]
  readonly keys: KeySet
  readonly options: AccessTokenOptions
}

/** What a valid token says. */
export interface AccessToken {
  readonly claims: JsonObject
  /** The name of the server that issued it. */
  readonly server: string
  readonly clientId: string | undefined
  readonly scopes: readonly string[]
  /**
   * From then on it is refused, in milliseconds since the epoch: its `exp` or its `max_age`, and the tolerance for the
   * server's clock.
   */
  readonly expiresAt: number
}

export interface AccessTokenVerifier {
  /**
   * Verifies a token; with `servers`, only of the servers with these names. Tells at once where nothing has to be
   * waited for.
   * @throws {GatewayError} `invalid_token`, or `keys_unavailable` where it cannot be decided
   * @see https://www.rfc-editor.org/rfc/rfc8725#section-3
   */
  verify(token: string, allowed?: { readonly servers?: readonly string[] | undefined }): Soon<AccessToken>
}

/**
 * Creates the one judge of access tokens. A token's issuer picks the server, and only that server's keys and settings
 * count for it.
 * @throws {TypeError} if two servers share an issuer
 */
export function createAccessTokenVerifier(
  servers: readonly TrustedServer[],
  { clock, remembered = createRememberedTokens() }: { readonly clock: Clock; readonly remembered?: RememberedTokens },
): AccessTokenVerifier {
  const byIssuer = indexByIssuer(servers)
  const sharedTexts = createSharedTexts()
  const largest = Math.max(0, ...servers.map((server) => server.options.max_token_size))

  function recall(digest: string, allowed: readonly string[] | undefined): AccessToken | undefined {
    const known = remembered.get(digest)
    if (!known) return undefined
    if (servers.includes(known.server)) {
      requireAllowed(known.server, allowed)
      // A key that was taken away, or that nobody has confirmed for too long, is a question for those who have the keys.
      if (known.server.keys.holds(known.key)) {
        requireValidTimes(known.token.claims, known.server.options, clock.now())
        return known.token
      }
    }
    remembered.forget(digest)
    return undefined
  }

  function verifyNew(token: string, digest: string, allowed: readonly string[] | undefined): Soon<AccessToken> {
    const { header, claims } = readCompactJwt(token)
    const server = serverOf(claims, byIssuer)
    requireAllowed(server, allowed)
    if (token.length > server.options.max_token_size) throw tooLarge()
    requireType(header.typ, acceptedTypes(server.options))
    return follow(requireSignature(token, header, server), (key) => {
      const verified = { token: describe(sharedTexts.claims(claims), server, sharedTexts), server, key }
      requireValidClaims(verified.token, server.options)
      requireValidTimes(claims, server.options, clock.now())
      remembered.remember(digest, verified)
      return verified.token
    })
  }

  return {
    verify(token, { servers: allowed } = {}) {
      if (token.length > largest) throw tooLarge()
      const digest = remembered.digest(token)
      return recall(digest, allowed) ?? verifyNew(token, digest, allowed)
    },
  }
}

function tooLarge(): Error {
  return invalidToken('the token is larger than max_token_size')
}

function serverOf({ iss }: JsonObject, byIssuer: ReadonlyMap<string, TrustedServer>): TrustedServer {
  // Compared whole: as a prefix, https://sso.example.com would let in https://sso.example.com.attacker.example.
  const server = typeof iss === 'string' ? byIssuer.get(iss) : undefined
  if (!server) throw invalidToken(`its issuer is not trusted: ${printable(iss)}`)
  return server
}

function requireAllowed({ name }: TrustedServer, allowed: readonly string[] | undefined): void {
  if (allowed && !allowed.includes(name)) throw invalidToken(`the route does not take tokens of ${name}`)
}

/** Not verified yet: whoever made the token may have written anything there. */
function printable(value: unknown): string {
  return (JSON.stringify(value) ?? 'none').replace(/[^\x20-\x7e]/g, '?').slice(0, 200)
}

function indexByIssuer(servers: readonly TrustedServer[]): ReadonlyMap<string, TrustedServer> {
  const byIssuer = new Map<string, TrustedServer>()
  for (const server of servers) {
    for (const issuer of server.issuers) {
      // Otherwise one server's keys could speak for the other.
      if (byIssuer.has(issuer) && byIssuer.get(issuer) !== server)
        throw new TypeError(`two servers share the issuer ${issuer}`)
      byIssuer.set(issuer, server)
    }
  }
  return byIssuer
}

/** Tokens made for something else, such as a client assertion or a logout, say so here. */
function requireType(typ: unknown, accepted: readonly string[]): void {
  if (typ === undefined) {
    if (!accepted.includes('absent')) throw invalidToken('it has no typ header')
    return
  }
  const isAccepted =
    typeof typ === 'string' && accepted.some((type) => type !== 'absent' && mediaType(type) === mediaType(typ))
  if (!isAccepted) throw invalidToken(`its typ header ${printable(typ)} is none of the accepted ones`)
}

/** @see https://www.rfc-editor.org/rfc/rfc7515#section-4.1.9 */
function mediaType(typ: string): string {
  const lower = typ.toLowerCase()
  return lower.includes('/') ? lower : `application/${lower}`
}

/** Gives back the key that the token is signed with. */
function requireSignature(token: string, header: JsonObject, server: TrustedServer): Soon<PublicKey> {
  const { alg, kid } = header
  if (!isSignatureAlgorithm(alg) || !server.options.algorithms.includes(alg))
    throw invalidToken(`its algorithm ${printable(alg)} is none of the accepted ones`)
  if (kid !== undefined && typeof kid !== 'string') throw invalidToken('its kid is not text')
  // Only the server's own keys: jwk, jku, x5c and x5u in the header are the words of whoever made the token.
  return follow(server.keys.find({ alg, kid }), (tried) => {
    if (tried.length === 0)
      throw invalidToken(`no key of its server fits its kid ${printable(kid)} and algorithm ${alg}`)
    return follow(signerAmong(tried, token, alg), (signer) => {
      if (signer) return signer
      // The server may have a new key by now, without an id or under the old one.
      return follow(server.keys.find({ alg, kid, tried }), (others) =>
        follow(signerAmong(others, token, alg), (other) => {
          if (!other) throw invalidToken('its signature is wrong')
          return other
        }),
      )
    })
  })
}

function signerAmong(
  [key, ...others]: readonly PublicKey[],
  token: string,
  alg: SignatureAlgorithm,
): Soon<PublicKey | undefined> {
  if (!key) return undefined
  return follow(key.hasSigned(token, alg), (hasSigned) => (hasSigned ? key : signerAmong(others, token, alg)))
}

function describe(claims: JsonObject, { name, options }: TrustedServer, shared: SharedTexts): AccessToken {
  const clientId = firstClaim(claims, options.client_id_claims)
  const scope = firstClaim(claims, options.scope_claims)
  return {
    claims,
    server: name,
    clientId: typeof clientId === 'string' && clientId !== '' ? clientId : undefined,
    scopes: typeof scope === 'string' ? shared.scopes(scope, readScopes) : readScopes(scope),
    expiresAt: goodUntil(claims, options),
  }
}

/** Text or a list of texts, as servers write it; anything else grants nothing. */
function readScopes(value: unknown): string[] {
  const values: readonly unknown[] = typeof value === 'string' ? parseScope(value) : Array.isArray(value) ? value : []
  return [...new Set(values.filter((scope) => typeof scope === 'string').filter(isScopeToken))]
}

function firstClaim(claims: JsonObject, paths: AccessTokenOptions['scope_claims']): unknown {
  for (const path of paths) {
    const value = readClaim(claims, path)
    if (value !== undefined) return value
  }
  return undefined
}
