import { createSigningKey, encode, type SigningKey, signBytes } from '../../test/harness/tokens.ts'

export const audience = 'https://api.example.test'
export const issuerName = 'https://sso.example.test'
export const scope = 'customer.read'

/** Who signs the tokens of these runs; its keys stand in a file beside the gateway's configuration. */
export interface Issuer {
  /** Quick to sign with, where many tokens are needed. */
  readonly ellipticKey: Signer
  readonly rsaKey: Signer
  /** Both of their public halves, as JSON. */
  readonly jwks: string
}

export function createIssuer(): Issuer {
  const keys = { ellipticKey: createSigningKey('ES256'), rsaKey: createSigningKey('RS256') }
  return {
    ellipticKey: { ...keys.ellipticKey, kid: keys.ellipticKey.jwk.kid },
    rsaKey: { ...keys.rsaKey, kid: keys.rsaKey.jwk.kid },
    jwks: JSON.stringify({ keys: [keys.ellipticKey.jwk, keys.rsaKey.jwk] }),
  }
}

const life = 86_400

/** Who signs, and by which name its key is published. */
export type Signer = Pick<SigningKey, 'alg' | 'privateKey'> & { readonly kid: string }

/** A valid token, which no other one equals; its number stands in it. About 700 characters with RS256. */
export function signToken(key: Signer, number: number): string {
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: issuerName,
    aud: audience,
    sub: `client-${number}`,
    client_id: `client-${number}`,
    jti: `f3b0c44298fc1c149afbf4c8996fb924-${number}`,
    scope: `${scope} customer.write`,
    iat: now,
    exp: now + life,
  }
  const input = `${encode(JSON.stringify({ alg: key.alg, typ: 'at+jwt', kid: key.kid }))}.${encode(JSON.stringify(claims))}`
  return `${input}.${encode(signBytes(key, input))}`
}

/** What a configuration says of the issuer. */
export const trustedIssuer = `
authorization_servers:
  sso: { issuer: "${issuerName}", jwks: "\${file:keys.json}", access_tokens: { audience: "${audience}" } }`

export const listener = `
listeners: { main: { address: "127.0.0.1:0", timeouts: { keep_alive: 10m }, limits: { connections: 50000 } } }`
