/**
 * Somebody who holds no signing key makes a token of their own. They leave the signature out and say so in the header
 * (`none`, in whatever spelling a comparison forgot); or sign with what everybody can read, the public key, as if it were
 * a shared secret; or send a signature that a careless verifier takes for good (r = s = 0, another encoding, a few bytes
 * more or less); or take the signature of one token for another. None of it may be accepted.
 */
import { createHmac, sign } from 'node:crypto'
import { describe, test } from 'vitest'
import { createRawToken, createSigningKey, createToken, encode, type Members, signBytes } from '../harness/tokens.ts'
import { parts } from '../ingress/verifier.ts'
import { guardTokens } from './token-gate.ts'

const rsa = createSigningKey('RS256')
const ec = createSigningKey('ES256')
const ec521 = createSigningKey('ES512')
const ed = createSigningKey('EdDSA')
const pss = createSigningKey('PS256')
const attacker = createSigningKey('RS256')
const gate = guardTokens({ servers: [{ keys: [rsa, ec, ec521, ed, pss] }], key: rsa })

const payload = JSON.stringify(parts().claims)
const wrongAlgorithm = /algorithm/
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
const jwk = JSON.stringify(rsa.jwk)
const ecPem = ec.publicKey.export({ type: 'spki', format: 'pem' }).toString()
const edBytes = Buffer.from(String(ed.jwk.x), 'base64url')

/** Each with what is read everywhere as the secret. */
const secrets: Record<string, [secret: string | Buffer, kid?: string]> = {
  'the public key in PEM': [pem],
  'the PEM without its last line break': [pem.trim()],
  'the PEM behind a blank': [` ${pem}`],
  'the PEM behind a line break': [`\n${pem}`],
  'the PEM with the line breaks of Windows': [pem.replaceAll('\n', '\r\n')],
  'the PEM in one line': [pem.replaceAll('\n', '')],
  'the PEM without its first and last line': [pem.replace(/-----.*-----\n/g, '')],
  'the public key in PKCS#1': [pkcs1],
  'the public key in DER': [der],
  'the DER in base64': [der.toString('base64')],
  'the JWK': [jwk],
  'the key set': [JSON.stringify({ keys: [rsa.jwk] })],
  'the modulus': [Buffer.from(String(rsa.jwk.n), 'base64url')],
  'the modulus as text': [String(rsa.jwk.n)],
  'the key id': ['RS256'],
  nothing: [''],
  'a NUL': ['\u0000'],
  'the EC key in PEM, by its kid': [ecPem, 'ES256'],
  'the bytes of the Ed25519 key, by its kid': [edBytes, 'EdDSA'],
}

describe('a secret that everybody knows signs nothing', () => {
  for (const [name, [secret, kid = 'RS256']] of Object.entries(secrets)) {
    test(`HS256 with ${name}`, () =>
      gate.refuses(assemble({ alg: 'HS256', kid }, hmac('sha256', secret)), wrongAlgorithm))
  }
  for (const alg of ['HS384', 'HS512', 'HS1', 'hs256', 'Hs256', 'HS256 ', 'HS256\u0000', 'SHA256', 'HMAC']) {
    const hash = /384|512/.exec(alg)?.[0] ?? '256'
    test(`${JSON.stringify(alg)} with the public key`, () =>
      gate.refuses(assemble({ alg, kid: 'RS256' }, hmac(`sha${hash}`, pem)), wrongAlgorithm))
  }
  test('HS256 beside RS256, of which a reader takes either (alg twice)', () =>
    gate.refuses(
      createRawToken(rsa, '{"alg":"HS256","kid":"RS256","alg":"RS256"}', payload),
      /header is not exactly one JSON object/,
    ))
})

describe('no signature is no token', () => {
  for (const alg of ['none', 'None', 'NONE', 'nOnE', 'none ', ' none', 'none\u0000', 'nоne', 'ｎｏｎｅ', 'null', '']) {
    test(`alg ${JSON.stringify(alg)}, with an empty signature, a made-up one, and a good one`, async () => {
      await gate.refuses(`${encode(JSON.stringify({ alg }))}.${encode(payload)}.`, /three parts/)
      await gate.refuses(`${encode(JSON.stringify({ alg }))}.${encode(payload)}`, /three parts/)
      await gate.refuses(assemble({ alg }, zeros(4)), wrongAlgorithm)
      await gate.refuses(createRawToken(rsa, JSON.stringify({ alg, kid: 'RS256' }), payload), wrongAlgorithm)
    })
  }
})

const by = (key: typeof rsa) => (input: string) => signBytes(key, input)
const zeros = (length: number) => () => Buffer.alloc(length)
const changed = (key: typeof rsa, change: (signature: Buffer) => Uint8Array) => (input: string) =>
  Buffer.from(change(signBytes(key, input)))
const order = Buffer.from('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551', 'hex')
const one = Buffer.from('01'.padStart(64, '0'), 'hex')
const nought = Buffer.alloc(32)
const ieee = (r: Buffer, s: Buffer) => () => Buffer.concat([r, s])
const ofEc = { alg: 'ES256', kid: 'ES256' }
const ofRsa = { alg: 'RS256', kid: 'RS256' }
const ofEd = { alg: 'EdDSA', kid: 'EdDSA' }
const ofPss = { alg: 'PS256', kid: 'PS256' }

/** The other half of a signature over the edwards curve, with its number one order larger: equal to who does not look. */
function largerS(signature: Buffer): Buffer {
  const l = 2n ** 252n + 27742317777372353535851937790883648493n
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + l
  const bytes = Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse()
  return Buffer.concat([signature.subarray(0, 32), bytes])
}

const signatures: Record<string, [header: Members, signature: (input: string) => Buffer | string]> = {
  'ES256 with r = s = 0': [ofEc, zeros(64)],
  'ES256 without kid and r = s = 0': [{ alg: 'ES256' }, zeros(64)],
  'ES256 with r = 0': [ofEc, ieee(nought, one)],
  'ES256 with s = 0': [ofEc, ieee(one, nought)],
  'ES256 with r = s = 1': [ofEc, ieee(one, one)],
  'ES256 with r = s = the order of the curve': [ofEc, ieee(order, order)],
  'ES256 with r = the order of the curve, s = 1': [ofEc, ieee(order, one)],
  'ES256 with r = 1, s = the order of the curve': [ofEc, ieee(one, order)],
  'ES256 with r and s of all ones': [ofEc, () => Buffer.alloc(64, 0xff)],
  'ES256 with r and s changed over': [
    ofEc,
    changed(ec, (bytes) => Buffer.concat([bytes.subarray(32), bytes.subarray(0, 32)])),
  ],
  'ES256 with zeros in DER': [ofEc, () => Buffer.from('3006020100020100', 'hex')],
  'ES256 with a good signature in DER': [ofEc, (input) => sign('sha256', Buffer.from(input), ec.privateKey)],
  'ES256 with a byte missing': [ofEc, changed(ec, (bytes) => bytes.subarray(0, 63))],
  'ES256 with a byte more': [ofEc, changed(ec, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]))],
  'ES256 with zeros before both halves': [
    ofEc,
    changed(ec, (bytes) =>
      Buffer.concat([Buffer.alloc(1), bytes.subarray(0, 32), Buffer.alloc(1), bytes.subarray(32)]),
    ),
  ],
  'ES256 with r alone': [ofEc, changed(ec, (bytes) => bytes.subarray(0, 32))],
  'ES256 with a signature of RS256': [ofEc, by(rsa)],
  'ES256 with the other hash': [ofEc, by({ ...ec, alg: 'ES384' })],
  'ES512 with r = s = 0': [{ alg: 'ES512', kid: 'ES512' }, zeros(132)],
  'ES512 in the length of ES256': [{ alg: 'ES512', kid: 'ES512' }, by(ec)],
  'EdDSA with a signature of zeros': [ofEd, zeros(64)],
  'EdDSA with R and S of zeros but the identity': [ofEd, () => Buffer.concat([Buffer.from([1]), Buffer.alloc(63)])],
  'EdDSA with S one order larger': [ofEd, changed(ed, largerS)],
  'EdDSA with a byte missing': [ofEd, changed(ed, (bytes) => bytes.subarray(0, 63))],
  'EdDSA with a byte more': [ofEd, changed(ed, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]))],
  'RS256 with a signature of zeros': [ofRsa, zeros(256)],
  'RS256 with the number one': [ofRsa, () => Buffer.concat([Buffer.alloc(255), Buffer.from([1])])],
  'RS256 with the modulus': [ofRsa, () => Buffer.from(String(rsa.jwk.n), 'base64url')],
  'RS256 with a signature of one byte': [ofRsa, zeros(1)],
  'RS256 with a truncated signature': [ofRsa, changed(rsa, (bytes) => bytes.subarray(0, 255))],
  'RS256 with a byte more': [ofRsa, changed(rsa, (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]))],
  'RS256 with zeros before the signature': [ofRsa, changed(rsa, (bytes) => Buffer.concat([Buffer.alloc(1), bytes]))],
  'RS256 with the signature twice': [ofRsa, changed(rsa, (bytes) => Buffer.concat([bytes, bytes]))],
  'RS256 with the signature in text': [ofRsa, (input) => signBytes(rsa, input).toString('base64url')],
  'RS256 with the signature backwards': [ofRsa, changed(rsa, (bytes) => bytes.reverse())],
  'RS256 with the modulus added to the signature': [
    ofRsa,
    changed(rsa, (bytes) => {
      const n = BigInt(`0x${Buffer.from(String(rsa.jwk.n), 'base64url').toString('hex')}`)
      const sum = (BigInt(`0x${bytes.toString('hex')}`) + n).toString(16)
      return Buffer.from(sum.padStart(sum.length + (sum.length % 2), '0'), 'hex')
    }),
  ],
  'RS256 over the payload alone': [ofRsa, (input) => signBytes(rsa, input.split('.')[1] ?? '')],
  'RS256 over what the parts are before base64url': [
    ofRsa,
    () => signBytes(rsa, `${JSON.stringify(ofRsa)}.${payload}`),
  ],
  'RS256 with the other hash': [ofRsa, by({ ...rsa, alg: 'RS512' })],
  'RS256 with the padding of PS256': [ofRsa, by({ ...rsa, alg: 'PS256' })],
  'PS256 with the padding of RS256': [ofPss, by({ ...pss, alg: 'RS256' })],
  'PS256 with the hash of PS384': [ofPss, by({ ...pss, alg: 'PS384' })],
  'PS256 with a signature of zeros': [ofPss, zeros(256)],
  'the signature of another token': [ofRsa, () => by(rsa)('another')],
  'the signature of a good token, over another header': [
    { ...ofRsa, typ: 'JWT' },
    () => Buffer.from(createToken(rsa, parts()).split('.')[2] ?? '', 'base64url'),
  ],
  "somebody else's signature, under a known kid": [ofRsa, by(attacker)],
  "somebody else's signature, without a kid": [{ alg: 'RS256' }, by(attacker)],
}

describe('a signature that is not the one of exactly this token is none', () => {
  for (const [name, [header, signature]] of Object.entries(signatures)) {
    test(name, () => gate.refuses(assemble(header, signature), wrongSignature))
  }

  for (const key of [rsa, pss, ec, ed]) {
    const good = createToken(key, parts())
    const [header = '', claims = '', signature = ''] = good.split('.')
    test(`one bit is changed in the payload, the signature or the header of a token of ${key.alg}, which itself is good`, async () => {
      await gate.passes(good)
      for (let round = 0; round < 8; round += 1) {
        await gate.refuses(`${header}.${flip(claims, round)}.${signature}`, /./)
        await gate.refuses(`${header}.${claims}.${flip(signature, round)}`, wrongSignature)
        await gate.refuses(`${flip(header, round)}.${claims}.${signature}`, /./)
      }
      await gate.passes(good)
    })
  }
})

/** One bit of a part, another one in each round. */
function flip(part: string, round: number): string {
  const bytes = Buffer.from(part, 'base64url')
  const index = Math.floor(((round + 0.5) / 8) * bytes.length)
  bytes[index] = (bytes[index] ?? 0) ^ (1 << round)
  return encode(bytes)
}
