/**
 * The signature is good, but it was made with a key that has no say here: the key of another server, perhaps by the same
 * key id; or the server's own key, by an algorithm that is not the key's. Or the key id is written so that a careless
 * verifier opens a file, a database or an address with it, or finds something that no server ever published.
 */
import { describe, test } from 'vitest'
import { createSigningKey, createToken, encode, type Members, type SigningKey, signBytes } from '../harness/tokens.ts'
import { issuer, parts } from '../ingress/verifier.ts'
import { guardTokens } from './token-gate.ts'

const rsa = createSigningKey('RS256', 'rsa')
const pss = createSigningKey('PS256', 'pss')
const open = createSigningKey('RS256', 'open')
const ec = createSigningKey('ES256', 'ec')
const ed = createSigningKey('EdDSA', 'ed')
const shared = createSigningKey('RS256', 'shared')
const sharedOfPartner = createSigningKey('RS256', 'shared')
const ecOfPartner = createSigningKey('ES256', 'rsa')
const partnerIssuer = 'https://login.partner.test'
const partnerClaims = { iss: partnerIssuer }

const { alg: _, ...openJwk } = open.jwk
const gate = guardTokens({
  servers: [
    { keys: [rsa, pss, openJwk, ec, ed, shared, { ...rsa.jwk, kid: 7 }] },
    { name: 'partner', issuer: partnerIssuer, keys: [sharedOfPartner, ecOfPartner] },
    { name: 'no-tokens', issuer: 'https://other.test', keys: [shared], options: { audience: 'https://other.example' } },
  ],
  key: rsa,
  routes: [
    { path: '/partner/**', require: { issuers: ['partner'] } },
    { path: '/any/**', require: 'any_token' },
  ],
})

const noKey = /no key of its server/
const wrongSignature = /signature is wrong/
const foreign = /issuer is not trusted/

describe('the keys of one server are nothing to another', () => {
  const foreigners: Record<string, [token: string, reason: RegExp, target?: string]> = {
    "the partner's key of the same kid, for our issuer": [createToken(sharedOfPartner, parts()), wrongSignature],
    "our key of the same kid, for the partner's issuer": [
      createToken(shared, parts({ claims: partnerClaims })),
      wrongSignature,
    ],
    "the partner's key without a kid, for our issuer": [
      createToken(sharedOfPartner, parts({ header: { kid: undefined } })),
      wrongSignature,
    ],
    "our key without a kid, for the partner's issuer": [
      createToken(rsa, parts({ claims: partnerClaims, header: { kid: undefined } })),
      wrongSignature,
    ],
    'our key by a kid that the partner has for a key of another kind': [
      createToken(rsa, parts({ claims: partnerClaims })),
      noKey,
    ],
    "the partner's key by a kid that we have for a key of another kind": [createToken(ecOfPartner, parts()), noKey],
    "the partner's token where only its issuer's name is ours": [
      createToken(sharedOfPartner, parts({ claims: { iss: issuer, azp: partnerIssuer } })),
      wrongSignature,
    ],
    "the partner's token, by a header that names its issuer": [
      createToken(sharedOfPartner, parts({ header: { iss: partnerIssuer } })),
      wrongSignature,
    ],
    'a token of two issuers': [
      createToken(sharedOfPartner, parts({ claims: { iss: [issuer, partnerIssuer] } })),
      foreign,
    ],
    'a key of a third server, whose audience is another': [
      createToken(shared, parts({ claims: { iss: 'https://other.test' } })),
      /aud/,
    ],
    'our token where a route takes those of the partner alone': [
      createToken(rsa, parts()),
      /does not take tokens of sso/,
      '/partner/a',
    ],
    "our token with the partner's name in it, on that route": [
      createToken(rsa, parts({ claims: { iss: issuer, issuer: partnerIssuer, server: 'partner' } })),
      /does not take tokens of sso/,
      '/partner/b',
    ],
    'our key for the issuer of the partner, on that route': [
      createToken(shared, parts({ claims: partnerClaims })),
      wrongSignature,
      '/partner/c',
    ],
  }
  for (const [name, [token, reason, target]] of Object.entries(foreigners)) {
    test(name, () => gate.refuses(token, reason, undefined, target))
  }
  test('and each opens what is its own', async () => {
    await gate.passes(createToken(shared, parts()))
    await gate.passes(createToken(sharedOfPartner, parts({ claims: partnerClaims })))
    await gate.passes(createToken(sharedOfPartner, parts({ claims: partnerClaims })), '/partner/own')
  })
})

describe('an algorithm that is not the one of its key is refused', () => {
  const confused: Record<string, [header: Members, sign: (input: string) => Buffer, reason: RegExp]> = {
    'RS384 named over a signature of RS256': [{ alg: 'RS384', kid: 'rsa' }, by(rsa), noKey],
    'RS512 in truth, by a key for RS256': [{ alg: 'RS512', kid: 'rsa' }, by({ ...rsa, alg: 'RS512' }), noKey],
    'PS256 in truth, by a key for RS256': [{ alg: 'PS256', kid: 'rsa' }, by({ ...rsa, alg: 'PS256' }), noKey],
    'RS256 in truth, by a key for PS256': [{ alg: 'RS256', kid: 'pss' }, by({ ...pss, alg: 'RS256' }), noKey],
    'PS256 named over a signature of RS256, by a key for any': [
      { alg: 'PS256', kid: 'open' },
      by(open),
      wrongSignature,
    ],
    'RS256 named over a signature of PS256, by a key for any': [
      { alg: 'RS256', kid: 'open' },
      by({ ...open, alg: 'PS256' }),
      wrongSignature,
    ],
    'RS512 named over a signature of RS256, by a key for any': [
      { alg: 'RS512', kid: 'open' },
      by(open),
      wrongSignature,
    ],
    'ES256 named for an RSA key': [{ alg: 'ES256', kid: 'rsa' }, by(ec), noKey],
    'ES256 named for an RSA key for any algorithm': [{ alg: 'ES256', kid: 'open' }, by(ec), noKey],
    'RS256 named for an EC key': [{ alg: 'RS256', kid: 'ec' }, by(rsa), noKey],
    'RS256 named for an Ed25519 key': [{ alg: 'RS256', kid: 'ed' }, by(rsa), noKey],
    'EdDSA named for an EC key': [{ alg: 'EdDSA', kid: 'ec' }, by(ed), noKey],
    'Ed448 named for an Ed25519 key': [{ alg: 'Ed448', kid: 'ed' }, by(ed), noKey],
    'ES256 named for an Ed25519 key': [{ alg: 'ES256', kid: 'ed' }, by(ec), noKey],
    'ES384 named for a key on P-256': [{ alg: 'ES384', kid: 'ec' }, by(ec), noKey],
    'ES384 in truth, by a key on P-256': [{ alg: 'ES384', kid: 'ec' }, by({ ...ec, alg: 'ES384' }), noKey],
    'ES256K named for a key on P-256': [{ alg: 'ES256K', kid: 'ec' }, by(ec), /algorithm/],
    'no alg at all': [{ kid: 'rsa' }, by(rsa), /algorithm/],
    'an alg that is null': [{ alg: null, kid: 'rsa' }, by(rsa), /algorithm/],
    'an alg that is a list': [{ alg: ['RS256'], kid: 'rsa' }, by(rsa), /algorithm/],
    'an alg that is an object': [{ alg: { name: 'RS256' }, kid: 'rsa' }, by(rsa), /algorithm/],
    'an alg that is true': [{ alg: true, kid: 'rsa' }, by(rsa), /algorithm/],
    'rs256 in small letters': [{ alg: 'rs256', kid: 'rsa' }, by(rsa), /algorithm/],
    'RS256 with a blank behind it': [{ alg: 'RS256 ', kid: 'rsa' }, by(rsa), /algorithm/],
    'RS256 with a NUL behind it': [{ alg: 'RS256\u0000', kid: 'rsa' }, by(rsa), /algorithm/],
    'the name of RS256 elsewhere': [{ alg: 'SHA256withRSA', kid: 'rsa' }, by(rsa), /algorithm/],
    'an alg that every object has': [{ alg: 'constructor', kid: 'rsa' }, by(rsa), /algorithm/],
    'an alg of __proto__': [{ alg: '__proto__', kid: 'rsa' }, by(rsa), /algorithm/],
    'an alg with a hash that nobody trusts (RS1)': [{ alg: 'RS1', kid: 'rsa' }, by(rsa), /algorithm/],
    'an alg for encryption': [{ alg: 'RSA-OAEP', kid: 'rsa' }, by(rsa), /algorithm/],
    'an alg for a wrapped key': [{ alg: 'dir', kid: 'rsa' }, by(rsa), /algorithm/],
    'an alg that may be none yet (ML-DSA-44)': [{ alg: 'ML-DSA-44', kid: 'rsa' }, by(rsa), /algorithm/],
  }
  for (const [name, [header, sign, reason]] of Object.entries(confused)) {
    test(name, () => gate.refuses(assemble(header, sign), reason))
  }
})

describe('a key id names a key of the server, and nothing else', () => {
  const kids: Record<string, [kid: unknown, reason?: RegExp]> = {
    unknown: ['other'],
    'of another server': ['partner'],
    'a path': ['../../../../dev/null'],
    'a path to a key': ['/etc/ssl/certs/ca-certificates.crt'],
    'a file as URL': ['file:///dev/null'],
    'an address': ['http://127.0.0.1:1/jwks'],
    SQL: ["x' UNION SELECT 'secret'; --"],
    'a command': ['| sleep 1'],
    'an expression': ['${env:HOME}'],
    'a template of a log (jndi)': ['${jndi:ldap://127.0.0.1:1/a}'],
    'a member of every object': ['__proto__'],
    'another member of every object': ['constructor'],
    'the index of a key': ['0'],
    'a known one with a NUL behind it': ['rsa\u0000'],
    'a known one with a blank behind it': ['rsa '],
    'a known one in capitals': ['RSA'],
    'a known one with a line break': ['rsa\n'],
    'a known one percent-encoded': ['%72sa'],
    'the beginning of a known one': ['rs'],
    'no letters': [''],
    'ten thousand letters': ['k'.repeat(10_000)],
    'a list': [['rsa'], /kid is not text/],
    'an object': [{ kid: 'rsa' }, /kid is not text/],
    null: [null, /kid is not text/],
    'a number that a key in the set has, which is left out': [7, /kid is not text/],
    'that number as text': ['7'],
    true: [true, /kid is not text/],
  }
  for (const [name, [kid, reason = noKey]] of Object.entries(kids)) {
    test(name, () => gate.refuses(createToken(rsa, parts({ header: { kid } })), reason))
  }
})

function assemble(header: Members, sign: (input: string) => Buffer): string {
  const input = `${encode(JSON.stringify(header))}.${encode(JSON.stringify(parts().claims))}`
  return `${input}.${encode(sign(input))}`
}

function by(key: SigningKey): (input: string) => Buffer {
  return (input) => signBytes(key, input)
}
