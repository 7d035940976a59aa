import { createHash, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { type CertificateFacts, readCertificate } from '../../base/client-certificate.ts'
import { type Derived, deriveFrom } from '../../base/derived.ts'
import { KeyFault, readPrivateJwk, readPrivateKey, unfoldPem } from '../../base/private-key.ts'
import type { Secret } from '../../base/secret.ts'
import {
  isSameAlgorithm,
  isSignatureAlgorithm,
  type KeyKind,
  type SignatureAlgorithm,
  signatureAlgorithmNames,
  signatureAlgorithms,
} from '../signature-algorithms.ts'

/** A private key that signs assertions, and what their header says of it. */
export interface SigningKey {
  readonly key: KeyObject
  readonly alg: SignatureAlgorithm
  readonly kid: string | undefined
  /** Of its certificate, if there is one. */
  readonly certificate: CertificateFacts | undefined
  /** RFC 7638, SHA-256 of the public key. */
  readonly thumbprint: string
}

export interface SigningKeyTexts {
  /** PEM or JWK. */
  readonly key: string
  readonly passphrase: string | undefined
  /** By default what the key itself says, or the usual one for its kind. */
  readonly alg: SignatureAlgorithm | undefined
  /** By default the JWK's own. */
  readonly kid: string | undefined
  readonly certificate: string | undefined
}

/**
 * Reads a signing key, and makes sure that it can do what is asked of it.
 * @throws {KeyFault}
 */
function readSigningKey({ key: text, passphrase, alg, kid, certificate }: SigningKeyTexts): SigningKey {
  const jwk = readPrivateJwk(text) ?? {}
  if (jwk.use !== undefined && jwk.use !== 'sig') throw new KeyFault('private_key', 'is a JWK for encryption ("use")')
  const key = readPrivateKey(text, passphrase)
  const publicJwk = exportPublicJwk(key)
  requireStrength(key)
  return {
    key,
    alg: chooseAlgorithm(publicJwk, jwk.alg, alg),
    kid: kid ?? (typeof jwk.kid === 'string' ? jwk.kid : undefined),
    certificate: certificate === undefined ? undefined : readCertificate(unfoldPem(certificate), key),
    thumbprint: jwkThumbprint(publicJwk),
  }
}

export interface SigningKeyOptions {
  readonly private_key: Secret
  readonly private_key_passphrase?: Secret | undefined
  readonly token_endpoint_auth_signing_alg?: SignatureAlgorithm | undefined
  readonly key_id?: string | undefined
  readonly certificate?: Secret | undefined
}

/** The key as it is now; read again when a file of it changes. @throws {KeyFault} */
export function createSigningKey(options: SigningKeyOptions): Derived<SigningKey> {
  const { private_key: key, private_key_passphrase: passphrase, certificate } = options
  return deriveFrom({ key, passphrase, certificate }, (texts) =>
    readSigningKey({
      key: texts.key,
      passphrase: passphrase && texts.passphrase,
      certificate: certificate && texts.certificate,
      alg: options.token_endpoint_auth_signing_alg,
      kid: options.key_id,
    }),
  )
}

function exportPublicJwk(key: KeyObject): JsonWebKey {
  try {
    return createPublicKey(key).export({ format: 'jwk' })
  } catch {
    const kind = key.asymmetricKeyType ?? 'unknown'
    throw new KeyFault(
      'private_key',
      `is of a kind (${kind}) that no signature algorithm here takes; use RSA, EC or Ed25519`,
    )
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc7518#section-3.3 */
function requireStrength(key: KeyObject): void {
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && bits < 2048)
    throw new KeyFault('private_key', `has ${bits} bits, and an RSA key needs 2048 at least (RFC 7518 section 3.3)`)
}

/** What an assertion can be signed with: jose makes no signatures of Ed448. */
export const signingAlgorithmNames: readonly SignatureAlgorithm[] = signatureAlgorithmNames.filter(
  (name) => name !== 'Ed448',
)

const algorithmOption = 'token_endpoint_auth_signing_alg'

function chooseAlgorithm(jwk: JsonWebKey, own: unknown, wanted: SignatureAlgorithm | undefined): SignatureAlgorithm {
  const fitting = signingAlgorithmNames.filter((name) => {
    const { kty, crv }: KeyKind = signatureAlgorithms[name]
    return kty === jwk.kty && (crv === undefined || crv === jwk.crv)
  })
  const [usual] = fitting
  const kind = jwk.crv === undefined ? `${jwk.kty}` : `${jwk.kty} ${jwk.crv}`
  if (usual === undefined)
    throw new KeyFault(
      'private_key',
      `is of a kind (${kind}) that no signature algorithm here takes; use RSA, EC or Ed25519`,
    )
  const alg = wanted ?? (isSignatureAlgorithm(own) ? own : usual)
  if (!fitting.includes(alg))
    throw new KeyFault(
      algorithmOption,
      `is ${alg}, which the private key (${kind}) cannot do; it can do ${fitting.join(', ')}`,
    )
  if (own !== undefined && !(typeof own === 'string' && isSameAlgorithm(own, alg)))
    throw new KeyFault(
      algorithmOption,
      `is ${alg}, and the private key says of itself that it is for ${JSON.stringify(own)} alone`,
    )
  return alg
}

/** The required members in lexicographic order; those that a kind of key does not have drop out. @see https://www.rfc-editor.org/rfc/rfc7638#section-3 */
function jwkThumbprint({ crv, e, kty, n, x, y }: JsonWebKey): string {
  return createHash('sha256').update(JSON.stringify({ crv, e, kty, n, x, y })).digest('base64url')
}
