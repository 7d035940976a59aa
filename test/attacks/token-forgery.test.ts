/**
 * Somebody who holds no signing key makes a token of their own. They leave the signature out and say so in the header
 * (`none`, in whatever spelling a comparison forgot); or sign with what everybody can read, the public key, as if it were
 * a shared secret; or bring the key along in the header; or point `kid` at something that the verifier opens; or send a
 * signature that a careless verifier takes for good (r = s = 0). Or they hold a key that is good for something else: for
 * another server, for another algorithm, for encryption. None of it may be accepted.
 */
import { createHmac } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createRawToken, createSigningKey, createToken, encode, type Members, signBytes } from '../harness/tokens.ts'
import { expectRefusal } from '../ingress/refusal.ts'
import { parts, startVerifier, type TestVerifier } from '../ingress/verifier.ts'

const rsa = createSigningKey('RS256')
const ec = createSigningKey('ES256')
const ed = createSigningKey('EdDSA')
const attacker = createSigningKey('RS256')
const attackerEc = createSigningKey('ES256')
const partner = createSigningKey('RS256')
const partnerIssuer = 'https://login.partner.test'

let verifier: TestVerifier
beforeAll(async () => {
  verifier = await startVerifier(
    { keys: [rsa, ec, ed] },
    { name: 'partner', issuers: [partnerIssuer], keys: [partner] },
  )
})
afterAll(() => verifier.stop())

const payload = JSON.stringify(parts().claims)
const wrongAlgorithm = /algorithm/
const noKey = /no key of its server/
const wrongSignature = /signature is wrong/

/** Any header before good claims, and any bytes as the signature. */
function assemble(header: Members, signature: (input: string) => Buffer | string): string {
  const input = `${encode(JSON.stringify(header))}.${encode(payload)}`
  return `${input}.${encode(signature(input))}`
}

const hmac = (hash: string, secret: string | Buffer) => (input: string) =>
  createHmac(hash, secret).update(input).digest()
const pem = rsa.publicKey.export({ type: 'spki', format: 'pem' }).toString()
const pkcs1 = rsa.publicKey.export({ type: 'pkcs1', format: 'pem' }).toString()
const der = rsa.publicKey.export({ type: 'spki', format: 'der' })
const byRsa = (input: string) => signBytes(rsa, input)
const byEc = (input: string) => signBytes(ec, input)
const zeros = (length: number) => () => Buffer.alloc(length)

const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')

const forged: Record<string, [token: string, reason: RegExp]> = {
  'a foreign key under a known kid': [createToken(attacker, parts()), wrongSignature],
  'a foreign key without a kid': [createToken(attacker, parts({ header: { kid: undefined } })), wrongSignature],
  'a foreign EC key under a known kid': [createToken(attackerEc, parts()), wrongSignature],
  "another trusted server's key under the same kid": [createToken(partner, parts()), wrongSignature],
  'our key for the issuer of another server': [
    createToken(rsa, parts({ claims: { iss: partnerIssuer } })),
    wrongSignature,
  ],
  'a kid that is unknown': [createToken(attacker, parts({ header: { kid: 'other' } })), noKey],
  'the key in the header (jwk)': [createToken(attacker, parts({ header: { jwk: attacker.jwk } })), wrongSignature],
  'the key in the header, and no kid': [
    createToken(attacker, parts({ header: { jwk: attacker.jwk, kid: undefined } })),
    wrongSignature,
  ],
  'the key at an address in the header (jku)': [
    createToken(attacker, parts({ header: { jku: 'http://127.0.0.1:1/jwks' } })),
    wrongSignature,
  ],
  'a certificate at an address in the header (x5u)': [
    createToken(attacker, parts({ header: { x5u: 'http://127.0.0.1:1/cert' } })),
    wrongSignature,
  ],
  'a certificate in the header (x5c)': [
    createToken(attacker, parts({ header: { x5c: [der.toString('base64')] } })),
    wrongSignature,
  ],
  'a kid that is a path': [createToken(attacker, parts({ header: { kid: '../../../../dev/null' } })), noKey],
  'a kid that is SQL': [createToken(attacker, parts({ header: { kid: "x' UNION SELECT 'secret'; --" } })), noKey],
  'a kid that is a member of every object': [createToken(attacker, parts({ header: { kid: '__proto__' } })), noKey],
  'a kid with a NUL behind a known one': [createToken(rsa, parts({ header: { kid: 'RS256\u0000' } })), noKey],
  'an empty kid': [createToken(rsa, parts({ header: { kid: '' } })), noKey],
  'a kid that is a list': [createToken(rsa, parts({ header: { kid: ['RS256'] } })), /kid is not text/],
  'a kid that is null': [createToken(rsa, parts({ header: { kid: null } })), /kid is not text/],
  'a kid that is a number': [createToken(rsa, parts({ header: { kid: 1 } })), /kid is not text/],
  'HS256 with the public key in PEM as the secret': [
    assemble({ alg: 'HS256', kid: 'RS256' }, hmac('sha256', pem)),
    wrongAlgorithm,
  ],
  'HS256 with the PEM without its last line break': [
    assemble({ alg: 'HS256', kid: 'RS256' }, hmac('sha256', pem.trim())),
    wrongAlgorithm,
  ],
  'HS256 with the PEM behind a blank': [
    assemble({ alg: 'HS256', kid: 'RS256' }, hmac('sha256', ` ${pem}`)),
    wrongAlgorithm,
  ],
  'HS256 with the public key in PKCS#1': [
    assemble({ alg: 'HS256', kid: 'RS256' }, hmac('sha256', pkcs1)),
    wrongAlgorithm,
  ],
  'HS256 with the public key in DER': [assemble({ alg: 'HS256', kid: 'RS256' }, hmac('sha256', der)), wrongAlgorithm],
  'HS256 with the modulus as the secret': [
    assemble({ alg: 'HS256', kid: 'RS256' }, hmac('sha256', Buffer.from(String(rsa.jwk.n), 'base64url'))),
    wrongAlgorithm,
  ],
  'HS256 with an empty secret': [assemble({ alg: 'HS256' }, hmac('sha256', '')), wrongAlgorithm],
  'HS384 with the public key': [assemble({ alg: 'HS384', kid: 'RS256' }, hmac('sha384', pem)), wrongAlgorithm],
  'HS512 with the public key': [assemble({ alg: 'HS512', kid: 'RS256' }, hmac('sha512', pem)), wrongAlgorithm],
  'hs256 in small letters': [assemble({ alg: 'hs256', kid: 'RS256' }, hmac('sha256', pem)), wrongAlgorithm],
  'rs256 in small letters, with a good signature': [assemble({ alg: 'rs256', kid: 'RS256' }, byRsa), wrongAlgorithm],
  'RS256 with a blank behind it': [assemble({ alg: 'RS256 ', kid: 'RS256' }, byRsa), wrongAlgorithm],
  'no alg at all, with a good signature': [assemble({ kid: 'RS256' }, byRsa), wrongAlgorithm],
  'an alg that is null': [assemble({ alg: null, kid: 'RS256' }, byRsa), wrongAlgorithm],
  'an alg that is a list': [assemble({ alg: ['RS256'], kid: 'RS256' }, byRsa), wrongAlgorithm],
  'an alg that every object has': [assemble({ alg: 'constructor', kid: 'RS256' }, byRsa), wrongAlgorithm],
  'an alg of __proto__': [assemble({ alg: '__proto__', kid: 'RS256' }, byRsa), wrongAlgorithm],
  'an alg that is no hash that anybody trusts (RS1)': [assemble({ alg: 'RS1', kid: 'RS256' }, byRsa), wrongAlgorithm],
  'an alg for encryption': [assemble({ alg: 'RSA-OAEP', kid: 'RS256' }, byRsa), wrongAlgorithm],
  'RS384 named over a signature of RS256': [assemble({ alg: 'RS384', kid: 'RS256' }, byRsa), noKey],
  'PS256 named over a signature of RS256': [assemble({ alg: 'PS256', kid: 'RS256' }, byRsa), noKey],
  'ES256 named for an RSA key': [assemble({ alg: 'ES256', kid: 'RS256' }, byEc), noKey],
  'RS256 named for an EC key': [assemble({ alg: 'RS256', kid: 'ES256' }, byRsa), noKey],
  'EdDSA named for an EC key': [assemble({ alg: 'EdDSA', kid: 'ES256' }, (input) => signBytes(ed, input)), noKey],
  'ES384 named for a P-256 key': [assemble({ alg: 'ES384', kid: 'ES256' }, byEc), noKey],
  'ES256 with r = s = 0': [assemble({ alg: 'ES256', kid: 'ES256' }, zeros(64)), wrongSignature],
  'ES256 with r = s = the order of the curve': [
    assemble({ alg: 'ES256', kid: 'ES256' }, () => Buffer.concat([order, order])),
    wrongSignature,
  ],
  'ES256 with a signature in DER': [
    assemble({ alg: 'ES256', kid: 'ES256' }, () => Buffer.from('3006020100020100', 'hex')),
    wrongSignature,
  ],
  'ES256 with a byte missing': [
    assemble({ alg: 'ES256', kid: 'ES256' }, (input) => byEc(input).subarray(0, 63)),
    wrongSignature,
  ],
  'ES256 with a byte more': [
    assemble({ alg: 'ES256', kid: 'ES256' }, (input) => Buffer.concat([byEc(input), Buffer.alloc(1)])),
    wrongSignature,
  ],
  'ES256 without kid and r = s = 0': [assemble({ alg: 'ES256' }, zeros(64)), wrongSignature],
  'EdDSA with a signature of zeros': [assemble({ alg: 'EdDSA', kid: 'EdDSA' }, zeros(64)), wrongSignature],
  'RS256 with a signature of zeros': [assemble({ alg: 'RS256', kid: 'RS256' }, zeros(256)), wrongSignature],
  'RS256 with a signature of one byte': [assemble({ alg: 'RS256', kid: 'RS256' }, zeros(1)), wrongSignature],
  'RS256 with a truncated signature': [
    assemble({ alg: 'RS256', kid: 'RS256' }, (input) => byRsa(input).subarray(0, 255)),
    wrongSignature,
  ],
  'RS256 with zeros before the signature': [
    assemble({ alg: 'RS256', kid: 'RS256' }, (input) => Buffer.concat([Buffer.alloc(1), byRsa(input)])),
    wrongSignature,
  ],
  'the signature of another token': [assemble({ alg: 'RS256', kid: 'RS256' }, () => byRsa('another')), wrongSignature],
  'a critical extension': [createToken(rsa, parts({ header: { crit: ['exp'], exp: 1 } })), /crit/],
  'a critical extension that the signer made up': [
    createToken(rsa, parts({ header: { crit: ['x'], x: true } })),
    /crit/,
  ],
  'an empty list of critical extensions': [createToken(rsa, parts({ header: { crit: [] } })), /crit/],
  'a payload that is not encoded (b64)': [
    createToken(rsa, parts({ header: { b64: false, crit: ['b64'] } })),
    /crit|b64/,
  ],
  'b64 without crit': [createToken(rsa, parts({ header: { b64: true } })), /b64/],
  'a compressed payload (zip)': [createToken(rsa, parts({ header: { zip: 'DEF' } })), /zip/],
  'a header of encryption over three parts (enc)': [createToken(rsa, parts({ header: { enc: 'A256GCM' } })), /enc/],
}

describe('a forged token is refused', () => {
  for (const [name, [token, reason]] of Object.entries(forged)) {
    test(name, () => expectRefusal(verifier, token, reason))
  }

  for (const alg of ['none', 'None', 'NONE', 'nOnE', 'none ', ' none', 'none\u0000', 'nоne', '']) {
    test(`alg ${JSON.stringify(alg)}, with an empty signature, a made-up one, and a good one`, async () => {
      await expectRefusal(verifier, `${encode(JSON.stringify({ alg }))}.${encode(payload)}.`, /three parts/)
      await expectRefusal(verifier, `${encode(JSON.stringify({ alg }))}.${encode(payload)}`, /three parts/)
      await expectRefusal(verifier, assemble({ alg }, zeros(4)), wrongAlgorithm)
      await expectRefusal(verifier, createRawToken(rsa, JSON.stringify({ alg, kid: 'RS256' }), payload), wrongAlgorithm)
    })
  }

  test('one bit of the payload is changed, anywhere', async () => {
    const [header, good = '', signature] = createToken(rsa, parts()).split('.')
    const bytes = Buffer.from(good, 'base64url')
    for (let index = 0; index < bytes.length; index += 7) {
      const changed = Buffer.from(bytes)
      changed[index] = (changed[index] ?? 0) ^ 1
      const outcome = await verifier.verify(`${header}.${encode(changed)}.${signature}`).catch((error) => error)
      expect(outcome).toMatchObject({ code: 'invalid_token' })
    }
  })
})

describe('a key that must not be used for tokens', () => {
  const weak = createSigningKey('RS256', 'weak', 1024)
  const keys: Record<string, [key: typeof rsa, published: object]> = {
    'an RSA key of 1024 bits': [weak, weak.jwk],
    'an RSA key whose exponent is 1': [rsa, { ...rsa.jwk, e: 'AQ' }],
    'an RSA key whose exponent is 3': [rsa, { ...rsa.jwk, e: 'Aw' }],
    'an RSA key whose exponent is even': [rsa, { ...rsa.jwk, e: 'AQAC' }],
    'a key for encryption (use)': [rsa, { ...rsa.jwk, use: 'enc' }],
    'a key for encryption (key_ops)': [rsa, { ...rsa.jwk, use: undefined, key_ops: ['encrypt'] }],
    'a key that was published with its private part': [
      rsa,
      { ...rsa.privateKey.export({ format: 'jwk' }), kid: 'RS256' },
    ],
    'a key that names another algorithm': [rsa, { ...rsa.jwk, alg: 'PS256' }],
    'a point that is not on its curve': [ec, { ...ec.jwk, y: ec.jwk.x }],
    'an EC key that claims another curve': [ec, { ...ec.jwk, crv: 'P-384', alg: undefined }],
    'a key whose kid is no text': [rsa, { ...rsa.jwk, kid: 7 }],
  }
  for (const [name, [key, published]] of Object.entries(keys)) {
    test(`${name} verifies nothing`, async () => {
      const own = await startVerifier({ keys: [published, createSigningKey('EdDSA')] })
      await expectRefusal(own, createToken(key, parts()), noKey)
      await own.stop()
    })
  }

  test('a secret in the key set is no key for HS256', async () => {
    const secret = 'a secret of at least 32 characters'
    const own = await startVerifier({ keys: [{ kty: 'oct', k: encode(secret), kid: 'shared', alg: 'HS256' }, rsa] })
    await expectRefusal(own, assemble({ alg: 'HS256', kid: 'shared' }, hmac('sha256', secret)), wrongAlgorithm)
    await expectRefusal(own, assemble({ alg: 'RS256', kid: 'shared' }, hmac('sha256', secret)), noKey)
    await own.stop()
  })
})
