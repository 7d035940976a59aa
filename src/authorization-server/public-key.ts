import { type CryptoKey, importJWK, type JWK } from 'jose'
import { type KeyKind, type SignatureAlgorithm, signatureAlgorithms } from './signature-algorithms.ts'

/** A key of a key set that may verify signatures. */
export interface PublicKey {
  readonly kid: string | undefined
  /** True if a signature by this algorithm can be the key's. */
  fits(alg: SignatureAlgorithm): boolean
  /** The key for one algorithm, imported at the first call and kept. Rejects if jose finds it invalid. */
  import(alg: SignatureAlgorithm): Promise<CryptoKey>
}

/** Any of these in a key says that it is secret, or was published together with its private part. */
const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/**
 * Reads one member of a JWK set; `undefined` for what must not verify anything.
 * @see https://www.rfc-editor.org/rfc/rfc7517#section-4
 */
export function readPublicKey(value: unknown): PublicKey | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const jwk = value as Record<string, unknown>
  const { kid, use, key_ops: operations, alg: only } = jwk
  if (kid !== undefined && typeof kid !== 'string') return undefined
  if (only !== undefined && typeof only !== 'string') return undefined
  // A private key that lies open is everybody's: what it signs proves nothing.
  if (privateMembers.some((member) => Object.hasOwn(jwk, member))) return undefined
  // A key for encryption may be known to others who never should sign.
  if (use !== undefined && use !== 'sig') return undefined
  if (operations !== undefined && !(Array.isArray(operations) && operations.includes('verify'))) return undefined
  if (jwk.kty === 'RSA' && !isSoundRsaKey(jwk)) return undefined
  return createPublicKey(jwk, kid, only)
}

function createPublicKey(jwk: Record<string, unknown>, kid: string | undefined, only: string | undefined): PublicKey {
  const imported = new Map<SignatureAlgorithm, Promise<CryptoKey>>()
  // Only what makes up the key: jose would refuse it for members that do not matter here.
  const { kty, crv, n, e, x, y } = jwk
  const bare = Object.fromEntries(Object.entries({ kty, crv, n, e, x, y }).filter(([, value]) => value !== undefined))
  return {
    kid,
    fits(alg) {
      const kind: KeyKind = signatureAlgorithms[alg]
      // The key has the last word on its algorithm, never the token's header: else RS256 passes for HS256.
      return (only === undefined || only === alg) && kty === kind.kty && (kind.crv === undefined || crv === kind.crv)
    },
    import(alg) {
      const known = imported.get(alg)
      if (known) return known
      const fresh = importJWK(bare as JWK, alg).then((key) => {
        if (key instanceof Uint8Array) throw new TypeError('a symmetric key')
        return key
      })
      imported.set(alg, fresh)
      return fresh
    },
  }
}

const modulusBytes = { least: 256, most: 2048 }
const mostExponentBytes = 8

/**
 * 2048 bits and more (RFC 7518 section 3.3), an odd exponent of at least 65537: with e = 1 every message is its own
 * signature. The upper bounds keep a key from costing seconds for each token.
 */
function isSoundRsaKey({ n, e }: Record<string, unknown>): boolean {
  const modulus = readInteger(n)
  const exponent = readInteger(e)
  if (!modulus || !exponent || exponent.length > mostExponentBytes || modulus.length > modulusBytes.most) return false
  const value = BigInt(`0x${exponent.toString('hex')}`)
  return bitLength(modulus) >= modulusBytes.least * 8 && value >= 65537n && value % 2n === 1n
}

/** A Base64urlUInt without leading zero bytes. */
function readInteger(value: unknown): Buffer | undefined {
  if (typeof value !== 'string' || !/^[\w-]+$/.test(value)) return undefined
  const bytes = Buffer.from(value, 'base64url')
  const start = bytes.findIndex((byte) => byte !== 0)
  return start < 0 ? undefined : bytes.subarray(start)
}

function bitLength(bytes: Buffer): number {
  return bytes.length * 8 - (Math.clz32(bytes[0] ?? 0) - 24)
}
