/**
 * A genuine token, signed with the right key, in the wrong place. One that was made for another service; one of an issuer
 * whose name only begins like ours; one that has expired, or never will; an ID token that a browser was given, a refresh
 * token, a logout token: each is good for something, and must not be good for this.
 */
import { describe, test } from 'vitest'
import { createRawToken, createSigningKey, createToken, type Members } from '../harness/tokens.ts'
import { audience, issuer, parts } from '../ingress/verifier.ts'
import { guardTokens } from './token-gate.ts'

const rsa = createSigningKey('RS256')
const gate = guardTokens({ servers: [{ keys: [rsa] }], key: rsa })

const start = Number(parts().claims.iat)
const foreign = /issuer is not trusted/
const elsewhere = /aud/

const claims: Record<string, [claims: Members, reason: RegExp]> = {
  'no issuer': [{ iss: undefined }, foreign],
  'an issuer that is null': [{ iss: null }, foreign],
  'a list with our issuer in it': [{ iss: [issuer] }, foreign],
  'an object instead of an issuer': [{ iss: { toString: issuer } }, foreign],
  'another issuer': [{ iss: 'https://attacker.test' }, foreign],
  'our issuer with a slash behind it': [{ iss: `${issuer}/` }, foreign],
  'our issuer with more behind it': [{ iss: `${issuer}.attacker.test` }, foreign],
  'the beginning of our issuer': [{ iss: issuer.slice(0, -1) }, foreign],
  'our issuer in capitals': [{ iss: issuer.toUpperCase() }, foreign],
  'our issuer with a NUL behind it': [{ iss: `${issuer}\u0000` }, foreign],
  'our issuer with a blank behind it': [{ iss: `${issuer} ` }, foreign],
  'our issuer without TLS': [{ iss: issuer.replace('https', 'http') }, foreign],
  'an issuer that every object has': [{ iss: '__proto__' }, foreign],
  'the host of our issuer alone': [{ iss: new URL(issuer).origin }, foreign],
  'our issuer as somebody who logs in elsewhere': [{ iss: `${issuer}@attacker.test` }, foreign],
  'our issuer with its port written out': [{ iss: issuer.replace('.test', '.test:443') }, foreign],
  'our issuer with a letter percent-encoded': [{ iss: issuer.replace('one', 'on%65') }, foreign],
  'our issuer with a letter of another alphabet': [{ iss: issuer.replace('sso', 'ssо') }, foreign],
  'our issuer by a detour': [{ iss: `${issuer}/../one` }, foreign],
  'our issuer with a query': [{ iss: `${issuer}?x` }, foreign],
  'our issuer with a fragment': [{ iss: `${issuer}#x` }, foreign],
  'our issuer behind a line break': [{ iss: `\n${issuer}` }, foreign],
  'an issuer that is a number': [{ iss: 1 }, foreign],
  'an issuer of no letters': [{ iss: '' }, foreign],
  'our issuer in another claim': [{ iss: 'https://attacker.test', issuer }, foreign],
  'no audience': [{ aud: undefined }, elsewhere],
  'an audience that is null': [{ aud: null }, elsewhere],
  'an empty list of audiences': [{ aud: [] }, elsewhere],
  'another audience': [{ aud: 'https://other.example' }, elsewhere],
  'our audience within a longer one': [{ aud: `${audience}.attacker.test` }, elsewhere],
  'the beginning of our audience': [{ aud: audience.slice(0, -1) }, elsewhere],
  'our audience with a slash behind it': [{ aud: `${audience}/` }, elsewhere],
  'our audience within a list in a list': [{ aud: [[audience]] }, elsewhere],
  'our audience beside what is no text': [{ aud: [audience, 1] }, elsewhere],
  'audiences joined by a blank': [{ aud: `https://other.example ${audience}` }, elsewhere],
  'the word any as audience': [{ aud: 'any' }, elsewhere],
  'an audience of no letters': [{ aud: '' }, elsewhere],
  'an asterisk as audience': [{ aud: '*' }, elsewhere],
  'our audience as the name of a member': [{ aud: { [audience]: true } }, elsewhere],
  'an audience that is true': [{ aud: true }, elsewhere],
  'our audience in capitals': [{ aud: audience.toUpperCase() }, elsewhere],
  'our audience with a blank behind it': [{ aud: `${audience} ` }, elsewhere],
  'our audience beside null': [{ aud: [audience, null] }, elsewhere],
  'our audience among others, separated by commas': [{ aud: `https://other.example,${audience}` }, elsewhere],
  'our audience in another claim': [{ aud: 'https://other.example', azp: audience, resource: audience }, elsewhere],
  'no expiry': [{ exp: undefined }, /no exp/],
  'an expiry that is null': [{ exp: null }, /exp is no date/],
  'an expiry that is text': [{ exp: String(start + 300) }, /exp is no date/],
  'an expiry that is true': [{ exp: true }, /exp is no date/],
  'an expiry in a list': [{ exp: [start + 300] }, /exp is no date/],
  'a negative expiry': [{ exp: -1 }, /exp is no date/],
  'an expiry in milliseconds': [{ exp: (start + 300) * 1000 }, /exp is no date/],
  'an expiry of zero': [{ exp: 0 }, /expired/],
  'an expiry in the past': [{ exp: start - 60 }, /expired/],
  'an expiry that the tolerance for clocks no longer covers': [{ exp: start - 5 }, /expired/],
  'an expiry in the past, with a fraction': [{ exp: start - 5.5 }, /expired/],
  'an expiry that is a date in words': [{ exp: '2099-01-01T00:00:00Z' }, /exp is no date/],
  'an expiry that is the word for no end': [{ exp: 'Infinity' }, /exp is no date/],
  'an expiry within an object': [{ exp: { value: start + 300 } }, /exp is no date/],
  'an expiry under another name': [{ exp: undefined, expires_at: start + 300, expires_in: 300 }, /no exp/],
  'a beginning in the future': [{ nbf: start + 60 }, /not valid yet/],
  'a beginning that is text': [{ nbf: String(start) }, /nbf is no date/],
  'a beginning that is null': [{ nbf: null }, /nbf is no date/],
  'a beginning in milliseconds': [{ nbf: start * 1000 }, /nbf is no date/],
  'a beginning before all dates': [{ nbf: -1 }, /nbf is no date/],
  'an issue in the future': [{ iat: start + 60 }, /in the future/],
  'an issue in milliseconds': [{ iat: start * 1000 }, /iat is no date/],
  'an issue that is null': [{ iat: null }, /iat is no date/],
  'an issue in a list': [{ iat: [start] }, /iat is no date/],
  'a subject that is a list': [{ sub: ['legacy'] }, /sub is not text/],
  'a subject that is a number': [{ sub: 0 }, /sub is not text/],
  'an id that is an object': [{ jti: {} }, /jti is not text/],
  'an issue that is text': [{ iat: 'now' }, /iat is no date/],
  'an ID token (nonce)': [{ nonce: 'n-0S6_WzA2Mj' }, /ID token/],
  'an ID token (at_hash)': [{ at_hash: 'MTIzNDU2Nzg5MDEyMzQ1Ng' }, /ID token/],
  'an ID token (c_hash)': [{ c_hash: 'MTIzNDU2Nzg5MDEyMzQ1Ng' }, /ID token/],
  'an ID token (s_hash)': [{ s_hash: 'MTIzNDU2Nzg5MDEyMzQ1Ng' }, /ID token/],
  "Keycloak's ID token": [{ typ: 'ID' }, /typ claim/],
  "Keycloak's refresh token": [{ typ: 'Refresh' }, /typ claim/],
  "Keycloak's offline token": [{ typ: 'Offline' }, /typ claim/],
  "Keycloak's logout token": [{ typ: 'Logout' }, /typ claim/],
  'a refresh token in capitals': [{ typ: 'REFRESH' }, /typ claim/],
  'a logout token': [{ events: { 'http://schemas.openid.net/event/backchannel-logout': {} } }, /events/],
  "Cognito's ID token": [{ token_use: 'id' }, /token_use/],
  'a token_use that is a list': [{ token_use: ['access'] }, /token_use/],
  'a token_use in capitals': [{ token_use: 'ACCESS' }, /token_use/],
  'a token_use that is null': [{ token_use: null }, /token_use/],
  'a refresh token (token_use)': [{ token_use: 'refresh' }, /token_use/],
  'an ID token whose nonce is null': [{ nonce: null }, /ID token/],
  'an ID token whose nonce is empty': [{ nonce: '' }, /ID token/],
  'a security event': [
    { events: { 'https://schemas.openid.net/secevent/caep/event-type/session-revoked': {} } },
    /events/,
  ],
  'events that are null': [{ events: null }, /events/],
}

const types: Record<string, unknown> = {
  'a logout token': 'logout+jwt',
  'a client assertion': 'client-authentication+jwt',
  'a DPoP proof': 'dpop+jwt',
  'an introspection answer': 'token-introspection+jwt',
  'a security event': 'secevent+jwt',
  'a refresh token': 'rt+jwt',
  'a type that only begins like ours': 'at+jwt2',
  'a type of another tree': 'text/at+jwt',
  'a list with our type': ['at+jwt'],
  'null as type': null,
  'no text as type': '',
  'the word absent as type': 'absent',
  'a type with a blank': 'at+jwt ',
  'a type with a parameter': 'at+jwt;v=1',
  'two types': 'at+jwt, JWT',
  'a type that ends like ours': 'xat+jwt',
  'a token of JSON serialization': 'JOSE+JSON',
  'a key binding': 'kb+jwt',
  'a request object': 'oauth-authz-req+jwt',
  'a number as type': 1,
  'an object as type': { typ: 'at+jwt' },
  'a type in letters of another alphabet': 'аt+jwt',
}

describe('a genuine token in the wrong place is refused', () => {
  for (const [name, [changes, reason]] of Object.entries(claims)) {
    test(name, () => gate.refuses(createToken(rsa, parts({ claims: changes })), reason))
  }
  for (const [name, typ] of Object.entries(types)) {
    test(`by its header: ${name}`, () => gate.refuses(createToken(rsa, parts({ header: { typ } })), /typ header/))
  }
  const beyond = /payload is not exactly one JSON object/
  const numbers = {
    '1e400': beyond,
    '-1e400': beyond,
    '1e308': /exp is no date/,
    '9007199254740993': /exp is no date/,
    '253402300800': /exp is no date/,
    '1e-400': /expired/,
  }
  for (const [number, reason] of Object.entries(numbers)) {
    test(`an expiry of ${number}`, async () => {
      const payload = JSON.stringify(parts({ claims: { exp: 'EXP' } }).claims).replace('"EXP"', number)
      await gate.refuses(createRawToken(rsa, JSON.stringify({ alg: 'RS256', kid: 'RS256' }), payload), reason)
    })
  }
})
