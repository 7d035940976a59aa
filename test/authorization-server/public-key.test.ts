import { constants, sign } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { isUsable, readPublicKey } from '../../src/authorization-server/public-key.ts'
import {
  type SignatureAlgorithm,
  signatureAlgorithmNames,
} from '../../src/authorization-server/signature-algorithms.ts'
import { registerSecret } from '../harness/secrets.ts'
import { createSigningKey, encode, type SigningKey, signBytes } from '../harness/tokens.ts'

const rsa = createSigningKey('RS256').jwk
const ec = createSigningKey('ES256').jwk
const ed = createSigningKey('Ed25519').jwk
const ed448 = createSigningKey('Ed448').jwk

function fault(jwk: unknown): string {
  const key = readPublicKey(jwk)
  return isUsable(key) ? 'none' : key.fault
}

/** The modulus with its last byte replaced. */
function evenModulus(): string {
  const bytes = Buffer.from(String(rsa.n), 'base64url')
  bytes[bytes.length - 1] = 2
  return encode(bytes)
}

const little = (hex: string) => encode(Buffer.from(hex, 'hex').reverse())
const withSign = (x: string) => {
  const bytes = Buffer.from(x, 'base64url')
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) | 0x80
  return encode(bytes)
}
const zeros25519 = '00'.repeat(31)
const smallOrder25519 = {
  'the neutral one': little(`${zeros25519}01`),
  'order 2': little(`7f${'ff'.repeat(30)}ec`),
  'order 4': little(`${zeros25519}00`),
  'order 8': little('05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826'),
  'order 8, the other': little('7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7'),
  'order 4, written as the prime': little(`7f${'ff'.repeat(30)}ed`),
  'the neutral one, written beyond the prime': little(`7f${'ff'.repeat(30)}ee`),
}

const rows: Record<string, [jwk: unknown, fault: string]> = {
  'no object': ['key', 'is no JSON object'],
  'a list': [[ec], 'is no JSON object'],
  null: [null, 'is no JSON object'],
  'a symmetric key': [{ kty: 'oct', k: 'AAAA' }, 'is symmetric'],
  ...Object.fromEntries(
    ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'].map((member) => [
      `a key with ${member}`,
      [{ ...rsa, [member]: 'AQAB' }, 'has private members'],
    ]),
  ),
  'a kid that is a number': [{ ...ec, kid: 1 }, 'has a kid that is no text'],
  'a kid that is null': [{ ...ec, kid: null }, 'has a kid that is no text'],
  'an alg that is a list': [{ ...ec, alg: ['ES256'] }, 'has an alg that is no text'],
  'a key for encryption': [{ ...ec, use: 'enc' }, 'is not for signatures (use)'],
  'a use that is a list': [{ ...ec, use: ['sig'] }, 'is not for signatures (use)'],
  'key_ops without verify': [{ ...ec, key_ops: ['sign'] }, 'is not to verify (key_ops)'],
  'key_ops that are text': [{ ...ec, key_ops: 'verify' }, 'is not to verify (key_ops)'],
  'no kty': [{ ...ec, kty: undefined }, 'is none of RSA, EC and OKP'],
  'a kty in small letters': [{ ...rsa, kty: 'rsa' }, 'is none of RSA, EC and OKP'],
  'RSA with 1024 bits': [createSigningKey('RS256', 'weak', 1024).jwk, 'has less than 2048 bits'],
  'RSA with zeros before a short modulus': [
    { ...rsa, n: encode(Buffer.concat([Buffer.alloc(200), Buffer.alloc(128, 0xff)])) },
    'has less than 2048 bits',
  ],
  'RSA with an exponent of 1': [{ ...rsa, e: 'AQ' }, 'has an exponent below 65537, or an even one'],
  'RSA with an exponent of 3': [{ ...rsa, e: 'Aw' }, 'has an exponent below 65537, or an even one'],
  'RSA with an exponent of 65535': [
    { ...rsa, e: encode(Buffer.from([0xff, 0xff])) },
    'has an exponent below 65537, or an even one',
  ],
  'RSA with an even exponent': [
    { ...rsa, e: encode(Buffer.from([1, 0, 2])) },
    'has an exponent below 65537, or an even one',
  ],
  'RSA with an even modulus': [{ ...rsa, n: evenModulus() }, 'has an even modulus'],
  'RSA with a modulus of 16392 bits': [{ ...rsa, n: encode(Buffer.alloc(2049, 0xff)) }, 'is too large'],
  'RSA with an exponent of 72 bits': [{ ...rsa, e: encode(Buffer.alloc(9, 0xff)) }, 'is too large'],
  'RSA without a modulus': [{ ...rsa, n: undefined }, 'has a modulus or exponent that is no number in base64url'],
  'RSA with an exponent that is a number': [
    { ...rsa, e: 65537 },
    'has a modulus or exponent that is no number in base64url',
  ],
  'RSA with a padded modulus': [
    { ...rsa, n: `${rsa.n}==` },
    'has a modulus or exponent that is no number in base64url',
  ],
  'EC with a short x': [{ ...ec, x: String(ec.x).slice(0, -4) }, 'has a coordinate without the 32 bytes of its curve'],
  'EC with a long y': [{ ...ec, y: `${ec.y}AAAA` }, 'has a coordinate without the 32 bytes of its curve'],
  'EC without y': [{ ...ec, y: undefined }, 'has a coordinate without the 32 bytes of its curve'],
  'EC beside its curve': [{ ...ec, y: ec.x }, 'has members that make no key, or a point that is not on its curve'],
  'EC with the coordinates of another curve': [
    { ...ec, crv: 'P-384' },
    'has a coordinate without the 48 bytes of its curve',
  ],
  'EC on a curve of its own': [{ ...ec, crv: 'secp256k1' }, 'has a curve that is not supported'],
  'EC on a curve that every object has': [{ ...ec, crv: 'constructor' }, 'has a curve that is not supported'],
  'OKP for key agreement': [{ ...ed, crv: 'X25519' }, 'has a curve that is not supported'],
  'OKP with a short x': [{ ...ed, x: 'AAAA' }, 'has a coordinate without the 32 bytes of its curve'],
  'EC called OKP': [{ ...ec, kty: 'OKP' }, 'has members that make no key, or a point that is not on its curve'],
  ...Object.fromEntries(
    Object.entries(smallOrder25519).flatMap(([name, x]) => [
      [`Ed25519 with ${name}`, [{ ...ed, x }, 'is a point of small order']],
      [`Ed25519 with ${name}, negative`, [{ ...ed, x: withSign(x) }, 'is a point of small order']],
    ]),
  ),
  'Ed448 with the neutral one': [
    { ...ed448, x: encode(Buffer.from([1, ...Buffer.alloc(56)])) },
    'is a point of small order',
  ],
  'Ed448 with order 4': [{ ...ed448, x: encode(Buffer.alloc(57)) }, 'is a point of small order'],
}

describe('a key that must not verify anything', () => {
  for (const [name, [jwk, expected]] of Object.entries(rows)) test(name, () => expect(fault(jwk)).toBe(expected))
})

describe('a key that may', () => {
  for (const alg of signatureAlgorithmNames) {
    test(`${alg}, with or without saying so`, () => {
      const { jwk } = createSigningKey(alg)
      for (const written of [jwk, { ...jwk, alg: undefined, use: undefined }, { ...jwk, key_ops: ['verify'] }]) {
        const key = readPublicKey(written)
        expect(isUsable(key) && key.fits(alg)).toBe(true)
      }
    })
  }

  test('has a zero byte before its modulus, as some servers write it', () => {
    const n = encode(Buffer.concat([Buffer.alloc(1), Buffer.from(String(rsa.n), 'base64url')]))
    expect(fault({ ...rsa, n })).toBe('none')
  })

  test('fits no algorithm but its own', () => {
    const key = readPublicKey({ ...rsa, alg: 'PS256' })
    expect(signatureAlgorithmNames.filter((alg) => isUsable(key) && key.fits(alg))).toEqual(['PS256'])
    const encryption = readPublicKey({ ...rsa, alg: 'RSA-OAEP', use: undefined })
    expect(signatureAlgorithmNames.filter((alg) => isUsable(encryption) && encryption.fits(alg))).toEqual([])
    const curve = readPublicKey({ ...ec, alg: undefined })
    expect(signatureAlgorithmNames.filter((alg) => isUsable(curve) && curve.fits(alg))).toEqual(['ES256'])
  })
})

describe('the signature of an algorithm', () => {
  const kinds = new Map(signatureAlgorithmNames.map((alg) => [alg, createSigningKey(alg)]))
  const ofRsa = signatureAlgorithmNames.filter((alg) => /^[RP]S/.test(alg))
  const tokenBy = (key: SigningKey, alg: SignatureAlgorithm, salt?: number) => {
    const input = `${encode(JSON.stringify({ alg }))}.${encode('{}')}`
    const { privateKey } = key
    const padding = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: salt }
    const bytes =
      salt === undefined
        ? signBytes({ alg, privateKey }, input)
        : sign('sha256', Buffer.from(input), { key: privateKey, ...padding })
    return registerSecret(`${input}.${encode(bytes)}`)
  }
  const hasSigned = (key: SigningKey, token: string, alg: SignatureAlgorithm) => {
    const read = readPublicKey({ ...key.jwk, alg: undefined })
    return isUsable(read) && read.hasSigned(token, alg)
  }

  test.each(signatureAlgorithmNames)('%s is known by its key, and by no other one', async (alg) => {
    const key = kinds.get(alg) ?? createSigningKey(alg)
    const token = tokenBy(key, alg)
    expect(await hasSigned(key, token, alg)).toBe(true)
    expect(await hasSigned(createSigningKey(alg), token, alg)).toBe(false)
    expect(await hasSigned(key, token.slice(0, -4), alg)).toBe(false)
    expect(await hasSigned(key, token.replace('.', 'A.'), alg)).toBe(false)
  })

  test.each(ofRsa)('%s is none of another one of RSA, though the key is the same', async (alg) => {
    const key = createSigningKey('RS256')
    for (const other of ofRsa)
      expect([other, await hasSigned(key, tokenBy(key, other), alg)]).toEqual([other, other === alg])
  })

  test('PS256 has a salt as long as its digest', async () => {
    const key = createSigningKey('PS256')
    const tokens = [0, 20, 32, 64].map((salt) => tokenBy(key, 'PS256', salt))
    expect(await Promise.all(tokens.map((token) => hasSigned(key, token, 'PS256')))).toEqual([
      false,
      false,
      true,
      false,
    ])
  })

  test('by a long key is verified by another thread', async () => {
    const key = createSigningKey('RS256', 'long', 4104)
    const verifying = hasSigned(key, tokenBy(key, 'RS256'), 'RS256')
    expect(verifying).toBeInstanceOf(Promise)
    expect(await verifying).toBe(true)
  })
})
