import { constants, type KeyObject, verify } from 'node:crypto'
import { createSigningKey, type SigningKey } from '../../test/harness/tokens.ts'

export const issuer = 'https://sso.example.test/realms/one'
export const otherIssuer = 'https://other.example.test'
export const audience = 'https://api.example.test'
/** What a token needs for the guarded path. */
export const guardScope = 'admin'

/** The keys of the trusted server, and those of a second one, of which one has the same `kid`. */
export interface TokenKeys {
  readonly own: readonly SigningKey[]
  readonly others: readonly SigningKey[]
}

export function createTokenKeys(): TokenKeys {
  return {
    own: (['RS256', 'ES256', 'PS256', 'EdDSA'] as const).map((alg) => createSigningKey(alg)),
    others: [createSigningKey('RS256'), createSigningKey('ES256', 'theirs')],
  }
}

export function keySetOf(keys: readonly SigningKey[]): string {
  return JSON.stringify({ keys: keys.map(({ jwk }) => jwk) })
}

type Members = Readonly<Record<string, unknown>>

/**
 * Why a token that came as far as the guarded upstream must not have; `undefined` for one that may. Shares no code with
 * the gateway, and asks for what must hold at least.
 */
export function objectionTo(token: string, { own }: TokenKeys): string | undefined {
  const parts = token.split('.')
  const [head = '', body = '', signature = ''] = parts
  if (parts.length !== 3 || !parts.every(isCanonical)) return 'it is not three parts of base64url'
  const header = readObject(head)
  const claims = readObject(body)
  if (!header || !claims) return 'it has no JSON objects'
  const key = own.find(({ jwk }) => jwk.kid === header.kid) ?? own.find(({ jwk }) => jwk.alg === header.alg)
  if (!key || !isSignedBy(key, `${head}.${body}`, Buffer.from(signature, 'base64url'))) return 'nobody signed it'
  if (header.alg !== key.alg && !(key.alg === 'EdDSA' && header.alg === 'Ed25519'))
    return 'its alg is not that of the key'
  if (Object.hasOwn(header, 'crit')) return 'it has crit'
  return objectionToClaims(claims)
}

function objectionToClaims(claims: Members): string | undefined {
  const now = Date.now() / 1000
  const { iss, aud, exp, nbf, scope, scp } = claims
  if (iss !== issuer) return 'it is of another issuer'
  if (aud !== audience && !(Array.isArray(aud) && aud.includes(audience))) return 'it is not meant for us'
  // The gateway looked a moment ago, and tolerates 5 s.
  if (typeof exp !== 'number' || !Number.isFinite(exp) || exp < now - 20) return 'it has expired'
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf < now + 20)) return 'it is not valid yet'
  for (const name of ['nonce', 'at_hash', 'c_hash', 'events'])
    if (Object.hasOwn(claims, name)) return `it is no access token: ${name}`
  const granted = Object.hasOwn(claims, 'scope') ? scope : scp
  const scopes = typeof granted === 'string' ? granted.split(' ') : Array.isArray(granted) ? granted : []
  return scopes.includes(guardScope) ? undefined : 'it lacks the scope'
}

function isCanonical(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part
}

function readObject(part: string): Members | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : undefined
  } catch {
    return undefined
  }
}

function isSignedBy({ alg, publicKey }: SigningKey, input: string, signature: Buffer): boolean {
  const key: { key: KeyObject; dsaEncoding: 'ieee-p1363'; padding?: number; saltLength?: number } = {
    key: publicKey,
    dsaEncoding: 'ieee-p1363',
  }
  if (alg === 'EdDSA') return verify(null, Buffer.from(input), publicKey, signature)
  if (alg === 'PS256') Object.assign(key, { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })
  return verify('sha256', Buffer.from(input), key, signature)
}

/** What the token says its client is. */
export function clientOf(token: string): unknown {
  return readObject(token.split('.')[1] ?? '')?.client_id
}
