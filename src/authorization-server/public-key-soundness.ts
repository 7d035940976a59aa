/** What is wrong with the numbers of a public key, or `undefined`. Whether a point is on its curve is OpenSSL's to say. */
export function findKeyWeakness(jwk: Readonly<Record<string, unknown>>): string | undefined {
  if (jwk.kty === 'RSA') return findRsaWeakness(jwk)
  return findPointWeakness(jwk)
}

const modulusBytes = { least: 256, most: 2048 }
const mostExponentBytes = 8

/**
 * 2048 bits and more (RFC 7518 section 3.3), an odd exponent of at least 65537: with e = 1 every message is its own
 * signature. The upper bounds keep a key from costing seconds for each token.
 */
function findRsaWeakness({ n, e }: Readonly<Record<string, unknown>>): string | undefined {
  const modulus = readInteger(n)
  const exponent = readInteger(e)
  if (!modulus || !exponent) return 'has a modulus or exponent that is no number in base64url'
  if (bitLength(modulus) < modulusBytes.least * 8) return 'has less than 2048 bits'
  if (modulus.length > modulusBytes.most || exponent.length > mostExponentBytes) return 'is too large'
  const value = BigInt(`0x${exponent.toString('hex')}`)
  if (value < 65537n || value % 2n === 0n) return 'has an exponent below 65537, or an even one'
  return (modulus.at(-1) ?? 0) % 2 === 0 ? 'has an even modulus' : undefined
}

/** A Base64urlUInt without leading zero bytes, which some servers put before a modulus. */
function readInteger(value: unknown): Buffer | undefined {
  const bytes = readBytes(value)
  const start = bytes?.findIndex((byte) => byte !== 0) ?? -1
  return start < 0 ? undefined : bytes?.subarray(start)
}

function readBytes(value: unknown): Buffer | undefined {
  if (typeof value !== 'string' || value === '') return undefined
  const bytes = Buffer.from(value, 'base64url')
  return bytes.toString('base64url') === value ? bytes : undefined
}

function bitLength(bytes: Buffer): number {
  return bytes.length * 8 - (Math.clz32(bytes[0] ?? 0) - 24)
}

/** How long each coordinate is: RFC 7518 section 6.2.1, RFC 8037 section 2. */
const coordinateBytes: Readonly<Record<string, number>> = {
  'P-256': 32,
  'P-384': 48,
  'P-521': 66,
  Ed25519: 32,
  Ed448: 57,
}

function findPointWeakness({ kty, crv, x, y }: Readonly<Record<string, unknown>>): string | undefined {
  const length = typeof crv === 'string' && Object.hasOwn(coordinateBytes, crv) ? coordinateBytes[crv] : undefined
  if (length === undefined) return 'has a curve that is not supported'
  const coordinates = (kty === 'EC' ? [x, y] : [x]).map(readBytes)
  if (coordinates.some((bytes) => bytes?.length !== length))
    return `has a coordinate without the ${length} bytes of its curve`
  const [point] = coordinates
  return kty === 'OKP' && point && isOfSmallOrder(String(crv), point) ? 'is a point of small order' : undefined
}

const field25519 = 2n ** 255n - 19n
const field448 = 2n ** 448n - 2n ** 224n - 1n
/** The y coordinates of the points of order 8 on Ed25519; those of orders 1, 2 and 4 are 1, -1 and 0 on both curves. */
const ofOrder8 = [
  0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n,
  0x7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7n,
]

/**
 * Such a key is like an RSA exponent of 1: signatures that anybody can write down hold for every message, or for one in
 * eight.
 */
function isOfSmallOrder(crv: string, point: Buffer): boolean {
  const field = crv === 'Ed25519' ? field25519 : field448
  const number = BigInt(`0x${Buffer.from(point).reverse().toString('hex')}`)
  // The topmost bit is the sign of x.
  const y = BigInt.asUintN(point.length * 8 - 1, number) % field
  return [0n, 1n, field - 1n, ...(crv === 'Ed25519' ? ofOrder8 : [])].includes(y)
}
