import { constants, createSign, generateKeyPairSync, type KeyObject, type SigningOptions, sign } from 'node:crypto'
import type { JWK } from 'jose'
import { registerSecret } from './secrets.ts'

type Algorithm = `${'RS' | 'PS' | 'ES'}${256 | 384 | 512}` | 'EdDSA' | 'Ed25519' | 'Ed448'

/** A key that signs, and what its server publishes of it. */
export interface SigningKey {
  readonly alg: Algorithm
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: JWK & { readonly kid: string }
}

const curves: Partial<Record<Algorithm, string>> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }

/** A fresh key. RSA keys have 2048 bits unless a test wants a weaker one. */
export function createSigningKey(alg: Algorithm, kid: string = alg, bits = 2048): SigningKey {
  const pair = createPair(alg, bits)
  const jwk = pair.publicKey.export({ format: 'jwk' }) as JWK
  return { alg, ...pair, jwk: { ...jwk, kid, alg, use: 'sig' } }
}

function createPair(alg: Algorithm, bits: number): { privateKey: KeyObject; publicKey: KeyObject } {
  const namedCurve = curves[alg]
  if (namedCurve !== undefined) return generateKeyPairSync('ec', { namedCurve })
  if (alg === 'Ed448') return generateKeyPairSync('ed448')
  return alg.startsWith('Ed') ? generateKeyPairSync('ed25519') : generateKeyPairSync('rsa', { modulusLength: bits })
}

/** Signs any bytes as a JWS would. */
export function signBytes({ alg, privateKey }: Pick<SigningKey, 'alg' | 'privateKey'>, input: string): Buffer {
  const bytes = Buffer.from(input)
  if (alg.startsWith('Ed')) return sign(null, bytes, privateKey)
  const options: SigningOptions & { key: KeyObject } = { key: privateKey, dsaEncoding: 'ieee-p1363' }
  if (alg.startsWith('PS'))
    Object.assign(options, { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: Number(alg.slice(2)) / 8 })
  return createSign(`sha${alg.slice(2)}`)
    .update(bytes)
    .sign(options)
}

export type Members = Readonly<Record<string, unknown>>

/** Claims and header of a token that is accepted: a test changes one thing. `undefined` leaves a member out. */
export interface TokenParts {
  readonly claims: Members
  readonly header: Members
}

/** A signed token of these parts. */
export function createToken(key: SigningKey, { claims, header }: TokenParts): string {
  return createRawToken(key, JSON.stringify({ alg: key.alg, kid: key.jwk.kid, ...header }), JSON.stringify(claims))
}

/** A token of any two texts (or bytes), with a signature that is right for exactly them. */
export function createRawToken(key: SigningKey, header: string | Buffer, payload: string | Buffer): string {
  const input = `${encode(header)}.${encode(payload)}`
  return registerSecret(`${input}.${encode(signBytes(key, input))}`)
}

/** Base64url without padding. */
export function encode(bytes: string | Buffer): string {
  return Buffer.from(bytes).toString('base64url')
}
