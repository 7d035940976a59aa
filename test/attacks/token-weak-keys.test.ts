/**
 * The signature is good, but the key is one that proves nothing: too weak to be anybody's alone; for encryption, and so
 * perhaps in the hands of others; published together with its private half by mistake; for another algorithm; or with
 * numbers that make every signature good, which whoever can add to a key set may have chosen so. That its server publishes
 * it among good ones does not help.
 */
import { createHash, generateKeyPairSync } from 'node:crypto'
import type { JWK } from 'jose'
import { describe, test } from 'vitest'
import { createSigningKey, createToken, encode, type Members, type SigningKey, signBytes } from '../harness/tokens.ts'
import { parts } from '../ingress/verifier.ts'
import { guardTokens } from './token-gate.ts'

const rsa = createSigningKey('RS256', 'rsa')
const ec = createSigningKey('ES256', 'ec')
const ed = createSigningKey('EdDSA', 'ed')
const weak = createSigningKey('RS256', 'weak', 1024)
const almost = createSigningKey('RS256', 'almost', 2040)
const three = withExponent(3)
const bitcoin = onCurve('secp256k1')
// Of their own: they take their public halves with them, which would be the good keys.
const open = createSigningKey('RS256', 'open')
const openEc = createSigningKey('ES256', 'open-ec')
const empty = createSigningKey('RS256', 'empty')
const wrongCurve = createSigningKey('ES384', 'wrong-curve')
const secret = 'a secret of at least thirty-two characters'

/** What the server publishes beside good keys: none of these may verify anything. */
const unusable: Record<string, [published: object, sign: (input: string) => Buffer, alg?: string]> = {
  'an RSA key of 1024 bits': [weak.jwk, by(weak)],
  'an RSA key of 2040 bits': [almost.jwk, by(almost)],
  'an RSA key whose exponent is 3': [three.jwk, by(three)],
  'an RSA key whose exponent is 1, and every message its own signature': [{ ...rsa.jwk, e: 'AQ' }, padded],
  'an RSA key whose exponent is even': [{ ...rsa.jwk, e: 'AQAC' }, by(rsa)],
  'an RSA key whose exponent is 0': [{ ...rsa.jwk, e: 'AA' }, padded],
  'an RSA key whose modulus is even': [{ ...rsa.jwk, n: evenModulus() }, by(rsa)],
  'an RSA key whose modulus has padding': [{ ...rsa.jwk, n: `${rsa.jwk.n}==` }, by(rsa)],
  'a key for encryption (use)': [{ ...rsa.jwk, use: 'enc' }, by(rsa)],
  'a key whose use is a list': [{ ...rsa.jwk, use: ['sig'] }, by(rsa)],
  'a key for encryption (key_ops)': [{ ...rsa.jwk, use: undefined, key_ops: ['encrypt'] }, by(rsa)],
  'a key that signs and does not verify (key_ops)': [{ ...rsa.jwk, use: undefined, key_ops: ['sign'] }, by(rsa)],
  'a key of which nothing can be done (key_ops)': [{ ...rsa.jwk, key_ops: [] }, by(rsa)],
  'a key whose key_ops are text': [{ ...rsa.jwk, key_ops: 'verify' }, by(rsa)],
  'an RSA key whose private half lies open': [{ ...open.privateKey.export({ format: 'jwk' }) }, by(open)],
  'an EC key whose private half lies open': [
    { ...openEc.privateKey.export({ format: 'jwk' }), use: 'sig' },
    by(openEc),
    'ES256',
  ],
  'the public half of a private key that lies open': [open.jwk, by(open)],
  'the public half of an EC key that lies open': [openEc.jwk, by(openEc), 'ES256'],
  'a key with a private member of no letters': [{ ...empty.jwk, d: '' }, by(empty)],
  'an RSA key for another algorithm': [{ ...rsa.jwk, alg: 'PS256' }, by(rsa)],
  'an RSA key for an algorithm that nobody trusts': [{ ...rsa.jwk, alg: 'RS1' }, by(rsa)],
  'an RSA key for encryption (alg)': [{ ...rsa.jwk, alg: 'RSA-OAEP' }, by(rsa)],
  'an RSA key for HS256': [{ ...rsa.jwk, alg: 'HS256' }, by(rsa)],
  'a key whose alg is a list': [{ ...rsa.jwk, alg: ['RS256'] }, by(rsa)],
  'an RSA key that says it is an EC key': [{ ...rsa.jwk, kty: 'EC' }, by(rsa)],
  'a key whose kind is spelt otherwise': [{ ...rsa.jwk, kty: 'rsa' }, by(rsa)],
  'a key without a kind': [{ ...rsa.jwk, kty: undefined }, by(rsa)],
  'a secret': [{ kty: 'oct', k: encode(secret), alg: 'RS256' }, by(rsa)],
  'a point that is not on its curve': [{ ...ec.jwk, y: ec.jwk.x }, by(ec), 'ES256'],
  'the point of no coordinates': [
    { ...ec.jwk, x: encode(Buffer.alloc(32)), y: encode(Buffer.alloc(32)) },
    by(ec),
    'ES256',
  ],
  'an EC key that claims another curve': [{ ...ec.jwk, crv: 'P-384', alg: undefined }, by(ec), 'ES256'],
  'an EC key on another curve': [{ ...wrongCurve.jwk, alg: undefined }, by({ ...wrongCurve, alg: 'ES256' }), 'ES256'],
  'an EC key on the curve of Bitcoin': [{ ...bitcoin.jwk, alg: undefined }, by(bitcoin), 'ES256'],
  'an Ed25519 key of which everybody knows signatures': [
    { kty: 'OKP', crv: 'Ed25519', x: encode(Buffer.concat([Buffer.from([1]), Buffer.alloc(31)])) },
    () => Buffer.concat([Buffer.from([1]), Buffer.alloc(63)]),
    'EdDSA',
  ],
  'a key for agreement (X25519)': [{ ...ed.jwk, crv: 'X25519', alg: undefined }, by(ed), 'EdDSA'],
}

const unusableKeys = Object.values(unusable).map(([published], index) => ({ ...published, kid: `bad-${index}` }))
const gate = guardTokens({ servers: [{ keys: [rsa, ec, ed, ...unusableKeys] }], key: rsa })

const noKey = /no key of its server/
const wrongSignature = /signature is wrong/

describe('a key that must not be used verifies nothing, though its server publishes it', () => {
  for (const [index, [name, [, sign, alg = 'RS256']]] of Object.entries(unusable).entries()) {
    test(name, async () => {
      await gate.refuses(assemble({ alg, kid: `bad-${index}` }, sign), noKey)
    })
  }
  test('a secret, named as what it is', async () => {
    const index = Object.keys(unusable).indexOf('a secret')
    await gate.refuses(assemble({ alg: 'HS256', kid: `bad-${index}` }, by(rsa)), /algorithm/)
  })
  for (const key of [weak, three]) {
    test(`a weak key that the token does not name (${key.jwk.kid})`, () =>
      gate.refuses(createToken(key, parts({ header: { kid: undefined } })), wrongSignature))
  }
})

function assemble(header: Members, sign: (input: string) => Buffer): string {
  const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(parts().claims))}`
  return `${input}.${encode(sign(input))}`
}

function by(key: SigningKey): (input: string) => Buffer {
  return (input) => signBytes(key, input)
}

/** What a signature by RS256 is before it is raised to any power: with an exponent of 1 it is its own. */
function padded(input: string): Buffer {
  const info = Buffer.from('3031300d060960864801650304020105000420', 'hex')
  const digest = Buffer.concat([info, createHash('sha256').update(input).digest()])
  return Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(256 - 3 - digest.length, 0xff), Buffer.alloc(1), digest])
}

function evenModulus(): string {
  const modulus = Buffer.from(String(rsa.jwk.n), 'base64url')
  modulus[255] = (modulus[255] ?? 0) & 0xfe
  return encode(modulus)
}

function withExponent(publicExponent: number): SigningKey {
  return asKey('RS256', 'three', generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent }))
}

function onCurve(namedCurve: string): SigningKey {
  return asKey('ES256', namedCurve, generateKeyPairSync('ec', { namedCurve }))
}

function asKey(alg: 'RS256' | 'ES256', kid: string, pair: ReturnType<typeof generateKeyPairSync>): SigningKey {
  return { alg, ...pair, jwk: { ...(pair.publicKey.export({ format: 'jwk' }) as JWK), kid, alg, use: 'sig' } }
}
