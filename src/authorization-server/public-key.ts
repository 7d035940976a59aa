import { constants, createPublicKey as createKeyObject, type KeyObject, verify } from 'node:crypto'
import { compactVerify } from 'jose/jws/compact/verify'
import type { Soon } from '../base/soon.ts'
import { findKeyWeakness } from './public-key-soundness.ts'
import { isSameAlgorithm, type KeyKind, type SignatureAlgorithm, signatureAlgorithms } from './signature-algorithms.ts'

/** A key of a key set that may verify signatures. */
export interface PublicKey {
  readonly kid: string | undefined
  /** All that it is: what is read anew and has the same identity is the same key. */
  readonly identity: string
  /** True if a signature by this algorithm can be the key's. */
  fits(alg: SignatureAlgorithm): boolean
  /** True if the signature of a JWS in compact serialization is the key's, by an algorithm that fits. */
  hasSigned(token: string, alg: SignatureAlgorithm): Soon<boolean>
}

/** A key that must not verify anything, and why: what follows "the key". */
export interface UnusableKey {
  readonly fault: string
  /** True where something secret lies open. */
  readonly secret?: true
  /** True where nothing is wrong with it: it is for encryption, and servers publish such keys too. */
  readonly forOthers?: true
}

/** Any of these in a key says that it is secret, or was published together with its private part. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/**
 * Reads one member of a JWK set.
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-4
 */
export function readPublicKey(value: unknown): PublicKey | UnusableKey {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return { fault: 'is no JSON object' }
  const jwk = value as Readonly<Record<string, unknown>>
  const { kid, use, key_ops: operations, alg: only, kty } = jwk
  if (kty === 'oct') return { fault: 'is symmetric', secret: true }
  // A private key that lies open is everybody's: what it signs proves nothing.
  if (privateMembers.some((member) => Object.hasOwn(jwk, member))) return { fault: 'has private members', secret: true }
  if (kid !== undefined && typeof kid !== 'string') return { fault: 'has a kid that is no text' }
  if (only !== undefined && typeof only !== 'string') return { fault: 'has an alg that is no text' }
  // A key for encryption may be known to others who never should sign.
  if (use !== undefined && use !== 'sig')
    return { fault: 'is not for signatures (use)', ...(use === 'enc' && { forOthers: true }) }
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify')))
    return { fault: 'is not to verify (key_ops)' }
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return { fault: 'is none of RSA, EC and OKP' }
  const weakness = findKeyWeakness(jwk)
  return weakness === undefined ? createPublicKey(jwk, kid, only) : { fault: weakness }
}

export function isUsable(key: PublicKey | UnusableKey): key is PublicKey {
  return !('fault' in key)
}

function createPublicKey(
  jwk: Readonly<Record<string, unknown>>,
  kid: string | undefined,
  only: string | undefined,
): PublicKey | UnusableKey {
  const { kty, crv, n, e, x, y } = jwk
  const key = importKey({ kty, crv, n, e, x, y })
  if (!key) return { fault: 'has members that make no key, or a point that is not on its curve' }
  const short = isShort(key)
  return {
    kid,
    identity: JSON.stringify([kid, only, kty, crv, n, e, x, y]),
    fits(alg) {
      const kind: KeyKind = signatureAlgorithms[alg]
      if (kty !== kind.kty || (kind.crv !== undefined && crv !== kind.crv)) return false
      // The key has the last word on its algorithm, never the token's header: else RS256 passes for HS256.
      return only === undefined || isSameAlgorithm(only, alg)
    },
    hasSigned(token, alg) {
      if (short && isRsaAlgorithm(alg)) return hasSignedRsa(token, key, alg)
      return alg === 'Ed448' ? hasSignedEd448(token, key) : hasSigned(token, key, alg)
    },
  }
}

/** Only of what makes up the key: a certificate beside it, for example, is nothing that anybody here has checked. */
function importKey(members: Readonly<Record<string, unknown>>): KeyObject | undefined {
  const jwk = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
  try {
    return createKeyObject({ key: jwk, format: 'jwk' })
  } catch {
    return undefined
  }
}

async function hasSigned(token: string, key: KeyObject, alg: SignatureAlgorithm): Promise<boolean> {
  try {
    await compactVerify(token, key, { algorithms: [alg] })
    return true
  } catch {
    return false
  }
}

const pss = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }

/**
 * Without options the padding is that of PKCS #1, version 1.5, and Node takes half as long to read its arguments.
 * @see https://www.rfc-editor.org/rfc/rfc7518#section-3.3 @see https://www.rfc-editor.org/rfc/rfc7518#section-3.5
 */
const rsaAlgorithms = {
  RS256: { digest: 'sha256', options: undefined },
  RS384: { digest: 'sha384', options: undefined },
  RS512: { digest: 'sha512', options: undefined },
  PS256: { digest: 'sha256', options: pss },
  PS384: { digest: 'sha384', options: pss },
  PS512: { digest: 'sha512', options: pss },
} as const satisfies { readonly [Alg in SignatureAlgorithm]?: object }

function isRsaAlgorithm(alg: SignatureAlgorithm): alg is keyof typeof rsaAlgorithms {
  return Object.hasOwn(rsaAlgorithms, alg)
}

/** By a longer key it takes long enough to be left to another thread. */
const mostBitsAtOnce = 4096

function isShort({ asymmetricKeyDetails }: KeyObject): boolean {
  return (asymmetricKeyDetails?.modulusLength ?? Number.POSITIVE_INFINITY) <= mostBitsAtOnce
}

/** At once: it takes less than half of what it takes to have another thread do it, and as long as that keeps this one busy. */
function hasSignedRsa(token: string, key: KeyObject, alg: keyof typeof rsaAlgorithms): boolean {
  const { digest, options } = rsaAlgorithms[alg]
  const { input, signature } = partsOf(token)
  try {
    return verify(digest, input, options ? { key, ...options } : key, signature)
  } catch {
    return false
  }
}

function partsOf(token: string) {
  const end = token.lastIndexOf('.')
  return { input: Buffer.from(token.slice(0, end)), signature: Buffer.from(token.slice(end + 1), 'base64url') }
}

/** jose does not know it. @see https://www.rfc-editor.org/rfc/rfc8037#section-3.1 */
function hasSignedEd448(token: string, key: KeyObject): Promise<boolean> {
  const { input, signature } = partsOf(token)
  return new Promise((resolve) => {
    verify(null, input, key, signature, (error, isGood) => resolve(!error && isGood))
  })
}
