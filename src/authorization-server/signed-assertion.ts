import { type KeyObject, randomUUID } from 'node:crypto'
import type { JWTPayload } from 'jose'
import { SignJWT } from 'jose/jwt/sign'

/** Whom an assertion can be for: the server by one of its names. */
export interface AssertionReceiver {
  readonly issuer: string
  readonly tokenEndpoint: string
}

/** `aud` of an assertion: `issuer` and `token_endpoint` are those of the server, anything else stands as it is. */
export function assertionAudience(wanted: string, { issuer, tokenEndpoint }: AssertionReceiver): string {
  if (wanted === 'issuer') return issuer
  return wanted === 'token_endpoint' ? tokenEndpoint : wanted
}

/** What makes one assertion. */
export interface Assertion {
  readonly key: KeyObject | Uint8Array
  readonly alg: string
  readonly kid?: string | undefined
  readonly certificateThumbprint?: string | undefined
  /** The `typ` of its header, or `none`. */
  readonly type: string
  /** All but those that say when it was made and how long it is good for. */
  readonly claims: JWTPayload
  /** Seconds. */
  readonly lifetime: number
  /** Milliseconds since the epoch. */
  readonly now: number
}

/**
 * Signs an assertion. Each has a `jti` of its own: servers refuse one that they have seen, and nobody can send it again.
 * @see https://www.rfc-editor.org/rfc/rfc7523#section-3
 */
export function signAssertion(assertion: Assertion): Promise<string> {
  const { key, alg, kid, certificateThumbprint, type, claims, lifetime } = assertion
  const now = Math.floor(assertion.now / 1000)
  const header = {
    alg,
    ...(type !== 'none' && { typ: type }),
    ...(kid !== undefined && { kid }),
    ...(certificateThumbprint !== undefined && { 'x5t#S256': certificateThumbprint }),
  }
  return new SignJWT({ ...claims, jti: randomUUID(), iat: now, exp: now + lifetime })
    .setProtectedHeader(header)
    .sign(key)
}
