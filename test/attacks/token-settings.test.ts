/**
 * A token that another server would be right to issue, and that this gateway was told not to take: not of the profile that
 * was agreed upon (RFC 9068), of a client that is not on the list, older than allowed, without a claim that must be there,
 * by an algorithm or of a type that is not accepted here. Whoever gets such a token somewhere (from a test system, from an
 * old client, from before a change of policy) tries whether the setting holds in every spelling.
 */
import { describe, test } from 'vitest'
import { createSigningKey, createToken, type Members } from '../harness/tokens.ts'
import { parts } from '../ingress/verifier.ts'
import { guardTokens } from './token-gate.ts'

const key = createSigningKey('ES256', 'ec')
const rsa = createSigningKey('RS256', 'rsa')
const issuers = { strict: 'https://strict.test', clients: 'https://clients.test', narrow: 'https://narrow.test' }
const server = (name: keyof typeof issuers, options: Members) => ({
  name,
  issuer: issuers[name],
  keys: [key, rsa],
  options,
})

const gate = guardTokens({
  servers: [
    { keys: [key] },
    server('strict', { strict: true }),
    server('clients', {
      client_ids: ['legacy', 'batch'],
      client_id_claims: ['azp', 'realm.client'],
      max_age: '1m',
      required_claims: ['tenant', 'realm.client'],
    }),
    server('narrow', {
      algorithms: ['ES256'],
      types: ['application/at+jwt'],
      audience: ['urn:api', 'urn:other'],
      scope_claims: ['permissions'],
      clock_tolerance: '1ms',
      max_token_size: '1KiB',
    }),
  ],
  key,
})

const start = Number(parts().claims.iat)
const profile = { iss: issuers.strict, jti: 'a-1' }
const strict: Record<string, [claims: Members, reason: RegExp]> = {
  'no sub': [{ sub: undefined }, /no sub/],
  'no client_id': [{ client_id: undefined }, /no client_id/],
  'no client_id, though azp says it': [{ client_id: undefined, azp: 'legacy' }, /no client_id/],
  'no jti': [{ jti: undefined }, /no jti/],
  'no iat': [{ iat: undefined }, /no iat/],
  'no exp': [{ exp: undefined }, /no exp/],
  'no aud': [{ aud: undefined }, /no aud/],
  'no iss': [{ iss: undefined }, /issuer is not trusted/],
  'a sub of no letters': [{ sub: '' }, /no sub/],
  'a client_id of no letters': [{ client_id: '' }, /no client_id/],
  'a client_id that is a list': [{ client_id: ['legacy'] }, /no client_id/],
  'a client_id that is a number': [{ client_id: 1 }, /no client_id/],
  'a client_id that is null': [{ client_id: null }, /no client_id/],
  'a jti of no letters': [{ jti: '' }, /no jti/],
  'a jti that is a number': [{ jti: 1 }, /jti is not text/],
  'an iat that is text': [{ iat: String(start) }, /iat is no date/],
  'a scope that is a list': [{ scope: ['customer.read'] }, /scope is not text/],
  'a scope that is null': [{ scope: null }, /scope is not text/],
}
const strictTypes: Record<string, unknown> = {
  'no typ': undefined,
  'a JWT': 'JWT',
  'a JWT, in small letters': 'jwt',
  'a JWT by its whole name': 'application/jwt',
  'an ID token by the name of RFC 9068': 'id+jwt',
  'a logout token': 'logout+jwt',
  'ours of another tree': 'x/at+jwt',
  'ours in a list': ['at+jwt'],
  'no letters': '',
}

describe('a server whose tokens are those of RFC 9068 alone', () => {
  for (const [name, [claims, reason]] of Object.entries(strict)) {
    test(name, () => gate.refuses(createToken(key, parts({ claims: { ...profile, ...claims } })), reason))
  }
  for (const [name, typ] of Object.entries(strictTypes)) {
    test(`by its header: ${name}`, () =>
      gate.refuses(createToken(key, parts({ claims: profile, header: { typ } })), /typ header/))
  }
  test('has good tokens', async () => {
    await gate.passes(createToken(key, parts({ claims: profile })))
    await gate.passes(createToken(key, parts({ claims: profile, header: { typ: 'application/AT+JWT' } })))
  })
  test('its strictness is not got around by the name of another server, which has none', () =>
    gate.refuses(
      createToken(rsa, parts({ claims: { sub: undefined }, header: { typ: 'JWT', kid: 'rsa' } })),
      /no key of its server/,
    ))
})

const usual = { iss: issuers.clients, azp: 'legacy', client_id: 'other', tenant: 't', realm: { client: 'x' } }
const clients: Record<string, [claims: Members, reason: RegExp]> = {
  'another client': [{ azp: 'other' }, /none of client_ids/],
  'a client whose name is in another claim': [{ azp: 'other', client_id: 'legacy' }, /none of client_ids/],
  'a client whose name begins like a good one': [{ azp: 'legacy2' }, /none of client_ids/],
  'a client in capitals': [{ azp: 'LEGACY' }, /none of client_ids/],
  'a client with a blank': [{ azp: 'legacy ' }, /none of client_ids/],
  'both of the clients in one text': [{ azp: 'legacy batch' }, /none of client_ids/],
  'a list with a good client': [{ azp: ['legacy'] }, /names no client/],
  'a client that is null, while a later claim is good': [{ azp: null, realm: { client: 'legacy' } }, /names no client/],
  'no client': [{ azp: undefined, realm: { client: null } }, /names no client/],
  'a client of no letters': [{ azp: '' }, /names no client/],
  'the subject as client': [{ azp: undefined, realm: { client: undefined }, sub: 'legacy' }, /names no client/],
  'no tenant': [{ tenant: undefined }, /lacks the claim tenant/],
  'a tenant that is null': [{ tenant: null }, /lacks the claim tenant/],
  'no realm': [{ realm: undefined }, /lacks the claim realm.client/],
  'a realm with no client': [{ realm: {} }, /lacks the claim realm.client/],
  'a claim whose name is the whole path': [{ realm: {}, 'realm.client': 'x' }, /lacks the claim realm.client/],
  'a list on the way': [{ realm: [{ client: 'x' }] }, /lacks the claim realm.client/],
  'a claim that every object has': [{ realm: { constructor: 'x' } }, /lacks the claim realm.client/],
  'older than max_age': [{ iat: start - 66 }, /longer ago than max_age/],
  'just as old as max_age and the tolerance': [{ iat: start - 65 }, /longer ago than max_age/],
  'from before all dates': [{ iat: 0 }, /longer ago than max_age/],
  'no iat to tell its age by': [{ iat: undefined }, /no iat/],
  'not issued yet': [{ iat: start + 60 }, /issued in the future/],
}

describe('a server of which some clients, and tokens of a certain age, are accepted', () => {
  for (const [name, [claims, reason]] of Object.entries(clients)) {
    test(name, () => gate.refuses(createToken(key, parts({ claims: { ...usual, ...claims } })), reason))
  }
  test('has good tokens', () => gate.passes(createToken(key, parts({ claims: { ...usual, iat: start - 64 } }))))
})

const narrow = { iss: issuers.narrow, aud: 'urn:api', permissions: 'customer.read' }
describe('a server whose settings are narrow', () => {
  const refused: Record<string, [claims: Members, reason: RegExp]> = {
    'the usual audience': [{ aud: 'https://api.example.test' }, /aud/],
    'both audiences in one text': [{ aud: 'urn:api urn:other' }, /aud/],
    'a longer audience': [{ aud: 'urn:api:x' }, /aud/],
    'expired a second ago': [{ exp: start - 1 }, /expired/],
    'good from the next second on': [{ nbf: start + 1 }, /not valid yet/],
    'more than max_token_size': [{ filler: 'x'.repeat(1024) }, /max_token_size/],
  }
  for (const [name, [claims, reason]] of Object.entries(refused)) {
    test(name, () => gate.refuses(createToken(key, parts({ claims: { ...narrow, ...claims } })), reason))
  }
  test('an algorithm that is not on the list, by a key of the server', () =>
    gate.refuses(createToken(rsa, parts({ claims: narrow })), /algorithm "RS256" is none/))
  test('a typ that is not on the list', () =>
    gate.refuses(createToken(key, parts({ claims: narrow, header: { typ: 'JWT' } })), /typ header/))
  test('no typ', () =>
    gate.refuses(createToken(key, parts({ claims: narrow, header: { typ: undefined } })), /no typ header/))
  test('has good tokens', () => gate.passes(createToken(key, parts({ claims: narrow }))))
})
