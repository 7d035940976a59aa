/**
 * The header of a token is the word of whoever made it, and the first thing that is read. An attacker brings their own key
 * along in it (`jwk`, `x5c`) or says where it is to be had (`jku`, `x5u`), and the verifier checks the signature with the
 * key of the one who forged it; by the address they also make the gateway ask servers of their choice. Or they say that
 * the rest is to be read in another way: not encoded, compressed, encrypted, a token within, by rules that are critical
 * and that nobody knows.
 */
import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Listening, listen } from '../harness/listen.ts'
import { createSigningKey, createToken, encode, type Members } from '../harness/tokens.ts'
import { issuer, parts } from '../ingress/verifier.ts'
import { guardTokens } from './token-gate.ts'

const rsa = createSigningKey('RS256')
const attacker = createSigningKey('RS256')
const attackerEc = createSigningKey('ES256', 'mine')
const gate = guardTokens({ servers: [{ keys: [rsa] }], key: rsa })

/** Where the attacker has keys and certificates for whoever asks. */
let lure: Listening
let asked = 0
beforeAll(async () => {
  const keys = JSON.stringify({ keys: [attacker.jwk, attackerEc.jwk] })
  lure = await listen(
    createServer((_request, response) => {
      asked += 1
      response.writeHead(200, { 'content-type': 'application/json' }).end(keys)
    }),
  )
})
afterAll(async () => {
  await lure.stop()
  expect(asked).toBe(0)
})

const wrongSignature = /signature is wrong/
const noKey = /no key of its server/
const der = attacker.publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
const unknown = { kid: 'mine' }
const unnamed = { kid: undefined }
const address = (path = '/jwks') => `http://127.0.0.1:${lure.port}${path}`

/** Signed by the attacker's RSA key, unless it says otherwise. */
const brought: Record<string, [header: () => Members, reason: RegExp, key?: typeof attacker]> = {
  'the key (jwk), under a known kid': [() => ({ jwk: attacker.jwk }), wrongSignature],
  'the key, and no kid': [() => ({ jwk: attacker.jwk, ...unnamed }), wrongSignature],
  'the key, under its own kid': [() => ({ jwk: attacker.jwk, ...unknown }), noKey],
  'an EC key, and ES256': [() => ({ jwk: attackerEc.jwk }), noKey, attackerEc],
  'the key as text': [() => ({ jwk: JSON.stringify(attacker.jwk) }), wrongSignature],
  'a whole key set (jwks)': [() => ({ jwks: { keys: [attacker.jwk] }, ...unnamed }), wrongSignature],
  'a key set under the name of one key': [() => ({ jwk: { keys: [attacker.jwk] } }), wrongSignature],
  'a secret as the key': [() => ({ jwk: { kty: 'oct', k: encode('secret') }, alg: 'HS256' }), /algorithm/],
  'where the key set is (jku)': [() => ({ jku: address() }), wrongSignature],
  'where the key set is, and no kid': [() => ({ jku: address(), ...unnamed }), wrongSignature],
  'where the key set is, and a kid that stands in it': [() => ({ jku: address(), ...unknown }), noKey, attackerEc],
  "where the key set is, before the server's own host": [
    () => ({ jku: `${address()}#@sso.example.test/jwks` }),
    wrongSignature,
  ],
  'where the certificate is (x5u)': [() => ({ x5u: address('/cert.pem') }), wrongSignature],
  'where the certificate is, and no kid': [() => ({ x5u: address('/cert.pem'), ...unnamed }), wrongSignature],
  'the certificate (x5c)': [() => ({ x5c: [der] }), wrongSignature],
  'the certificate, and no kid': [() => ({ x5c: [der], ...unnamed }), wrongSignature],
  'the certificate, no list': [() => ({ x5c: der }), wrongSignature],
  'the thumbprint of a certificate': [
    () => ({ x5t: encode('x'.repeat(20)), 'x5t#S256': encode('x'.repeat(32)) }),
    wrongSignature,
  ],
  'a kid that is an address': [() => ({ kid: address() }), noKey],
  'another issuer, with its keys': [() => ({ iss: address('') }), wrongSignature],
  'where the metadata is': [() => ({ discovery_url: address('/.well-known/openid-configuration') }), wrongSignature],
  'a URL of everything (url, epk, apu)': [
    () => ({ url: address(), epk: attackerEc.jwk, apu: address() }),
    wrongSignature,
  ],
}

describe('a key that the token brings along, or says where to find, is not looked at', () => {
  for (const [name, [header, reason, key = attacker]] of Object.entries(brought)) {
    test(name, () => gate.refuses(createToken(key, parts({ header: header() })), reason))
  }
  test('an issuer who is the attacker, with keys at the address that it is', () =>
    gate.refuses(createToken(attacker, parts({ claims: { iss: address('') } })), /issuer is not trusted/))
  test('a good token that names an address passes, and nobody is asked there', () =>
    gate.passes(createToken(rsa, parts({ header: { jku: address(), x5u: address('/cert.pem'), jwk: attacker.jwk } }))))
})

/** Signed by the right key: nothing but the header is wrong. */
const otherwise: Record<string, [header: Members, reason: RegExp]> = {
  'a critical extension': [{ crit: ['exp'], exp: 1 }, /crit/],
  'a critical extension that the signer made up': [{ crit: ['x'], x: true }, /crit/],
  'a critical extension that is not there': [{ crit: ['x'] }, /crit/],
  'a critical extension of RFC 7515 itself': [{ crit: ['alg'] }, /crit/],
  'a critical extension of proof of possession': [{ crit: ['http://openid.net/specs/jwt/cnf'] }, /crit/],
  'an empty list of critical extensions': [{ crit: [] }, /crit/],
  'critical extensions that are null': [{ crit: null }, /crit/],
  'critical extensions that are text': [{ crit: 'exp' }, /crit/],
  'critical extensions that are an object': [{ crit: {} }, /crit/],
  'critical extensions that are false': [{ crit: false }, /crit/],
  'a payload that is not encoded (b64)': [{ b64: false, crit: ['b64'] }, /crit|b64/],
  'a payload that is not encoded, and nothing critical': [{ b64: false }, /b64/],
  'b64 as it always is': [{ b64: true }, /b64/],
  'b64 that is null': [{ b64: null }, /b64/],
  'a compressed payload (zip)': [{ zip: 'DEF' }, /zip/],
  'a payload compressed by other means': [{ zip: 'GZ' }, /zip/],
  'no compression, as text': [{ zip: '' }, /zip/],
  'a header of encryption over three parts (enc)': [{ enc: 'A256GCM' }, /enc/],
  'a header of encryption that is null': [{ enc: null }, /enc/],
  'a token within (cty)': [{ cty: 'JWT' }, /cty/],
  'a token within, in small letters': [{ cty: 'jwt' }, /cty/],
  'a token within, by its whole name': [{ cty: 'application/jwt' }, /cty/],
  'an access token within': [{ cty: 'at+jwt' }, /cty/],
  'contents that are a list': [{ cty: ['JWT'] }, /cty/],
  'contents that are null': [{ cty: null }, /cty/],
  'a typ that says encryption': [{ typ: 'JWE' }, /typ header/],
  'a typ that says a nested token': [{ typ: 'JWS+JWT' }, /typ header/],
}

describe('a header that says how else to read the token is refused, however good the signature', () => {
  for (const [name, [header, reason]] of Object.entries(otherwise)) {
    test(name, () => gate.refuses(createToken(rsa, parts({ header })), reason))
  }
  test('claims in the header are none: not the scope, the issuer, the audience or the expiry', async () => {
    const { scope: _, ...claims } = parts().claims
    const header = { scope: 'customer.read', iss: issuer, aud: claims.aud, exp: claims.exp }
    await gate.refuses(
      createToken(rsa, { claims: { ...claims, iss: undefined }, header }),
      /issuer is not trusted: none/,
    )
    await gate.refuses(createToken(rsa, { claims: { ...claims, aud: undefined }, header }), /no aud/)
    await gate.refuses(createToken(rsa, { claims: { ...claims, exp: undefined }, header }), /no exp/)
  })
})
