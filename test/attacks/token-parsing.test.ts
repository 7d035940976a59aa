/**
 * Two readers of one token must not see two tokens. The gateway checks it, the upstream reads it again: if one of them
 * takes the first of two `scope` members and the other the last, skips a byte order mark, ignores padding or a stray
 * blank, or follows a header into encryption, then what was checked is not what is believed. And a token that is built to
 * be costly or to break the parser must cost little and break nothing. All tokens here are signed with the right key
 * (where they can be), so that nothing but their form can be the reason.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { GatewayError } from '../../src/base/errors.ts'
import { createRawToken, createSigningKey, createToken, encode } from '../harness/tokens.ts'
import { expectRefusal } from '../ingress/refusal.ts'
import { parts, startVerifier, type TestVerifier } from '../ingress/verifier.ts'
import { guardTokens } from './token-gate.ts'

const rsa = createSigningKey('RS256')
const gate = guardTokens({ servers: [{ keys: [rsa] }], key: rsa })
let verifier: TestVerifier
beforeAll(async () => {
  verifier = await startVerifier({ keys: [rsa] })
})
afterAll(() => verifier.stop())

const good = createToken(rsa, parts())
const [head = '', body = '', signature = ''] = good.split('.')
const header = JSON.stringify({ alg: 'RS256', kid: 'RS256' })
const claims = JSON.stringify(parts().claims)
const withClaim = (member: string) => createRawToken(rsa, header, `${claims.slice(0, -1)},${member}}`)
const withHeader = (member: string) => createRawToken(rsa, `${header.slice(0, -1)},${member}}`, claims)
const bytes = (...values: number[]) => Buffer.from(values)
const noParts = /three parts of base64url/
const noCredentials = /bearer token is malformed/
const noPayload = /payload is not exactly one JSON object/
const noHeader = /header is not exactly one JSON object/

/** The same bits with another last character: the ones that do not count are not zero. */
function stray(part: string): string {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  return part.slice(0, -1) + alphabet[alphabet.indexOf(part.at(-1) ?? '') + 1]
}

const flattened = JSON.stringify({ protected: head, payload: body, signature })
const general = JSON.stringify({ payload: body, signatures: [{ protected: head, signature }] })

const malformed: Record<string, [token: string, reason: RegExp]> = {
  'one part': ['abc', noParts],
  'two parts': [`${head}.${body}`, noParts],
  'four parts': [`${good}.${signature}`, noParts],
  'five parts, as an encrypted token has them': [`${head}..${body}.${signature}.${signature}`, /encrypted/],
  'six parts': [`${good}.a.b.c`, noParts],
  'five parts, in the form of an encrypted token': [
    `${head}.${body}.${signature}.${signature}.${signature}`,
    /encrypted/,
  ],
  'an encrypted token with an empty key': [
    `${encode('{"alg":"dir","enc":"A128GCM"}')}..${signature}.${body}.${signature}`,
    /encrypted/,
  ],
  'a token within the payload': [createRawToken(rsa, header, good), noPayload],
  'a token within the payload, as text': [createRawToken(rsa, header, JSON.stringify(good)), noPayload],
  'two tokens joined by a dot': [`${good}.${good}`, noParts],
  'two tokens joined by a tilde': [`${good}~${good}`, /five parts/],
  'a token with disclosures behind it': [`${good}~WyJzYWx0Iiwic2NvcGUiLCJhZG1pbiJd~`, noParts],
  'dots alone': ['..', noParts],
  'one character': ['-', noParts],
  'a thousand dots': ['.'.repeat(1000), noParts],
  'an empty header': [`.${body}.${signature}`, noParts],
  'an empty payload': [`${head}..${signature}`, noParts],
  'an empty signature': [`${head}.${body}.`, noParts],
  'padding behind the signature': [`${good}=`, noParts],
  'padding behind the payload': [`${head}.${body}==.${signature}`, noCredentials],
  'a blank in the signature': [`${head}.${body}.${signature.slice(0, 9)} ${signature.slice(9)}`, noCredentials],
  'the other alphabet of base64 (+)': [`${head}.${body}.+${signature.slice(1)}`, noParts],
  'the other alphabet of base64 (/)': [`${head}.${body}./${signature.slice(1)}`, noParts],
  'a percent sign': [`${head}.${body}.${signature}%41`, noCredentials],
  'dots that are percent-encoded': [good.replaceAll('.', '%2E'), noCredentials],
  'a dot of another alphabet': [`${head}\xb7${body}\xb7${signature}`, noCredentials],
  'JSON serialization, flattened': [flattened, noCredentials],
  'JSON serialization, general': [general, noCredentials],
  'JSON serialization within base64url': [encode(flattened), noParts],
  'letters outside ASCII': [`${head}.${body}.${signature}é`, noCredentials],
  'a last character with stray bits': [`${head}.${body}.${stray(signature)}`, noParts],
  'a length that no base64 has': [`${head}.${body}.${'A'.repeat(signature.length + 3)}`, noParts],
  'a payload that is a list': [createRawToken(rsa, header, `[${claims}]`), noPayload],
  'a payload that is text': [createRawToken(rsa, header, '"text"'), noPayload],
  'a payload that is null': [createRawToken(rsa, header, 'null'), noPayload],
  'a payload that is a number': [createRawToken(rsa, header, '1'), noPayload],
  'a payload that is no JSON': [createRawToken(rsa, header, '{a:1}'), noPayload],
  'a payload with something behind it': [createRawToken(rsa, header, `${claims}{}`), noPayload],
  'a payload with a comment': [createRawToken(rsa, header, `${claims}//`), noPayload],
  'a payload with a comma too many': [createRawToken(rsa, header, `${claims.slice(0, -1)},}`), noPayload],
  'a payload with a byte order mark': [createRawToken(rsa, header, `\ufeff${claims}`), noPayload],
  'a payload in UTF-16': [createRawToken(rsa, header, Buffer.from(claims, 'utf16le')), noPayload],
  'a payload that is not UTF-8': [
    createRawToken(rsa, header, Buffer.concat([Buffer.from('{"a":"'), bytes(0xff), Buffer.from('"}')])),
    noPayload,
  ],
  'an overlong spelling in UTF-8': [
    createRawToken(rsa, header, Buffer.concat([Buffer.from('{"a":"'), bytes(0xc0, 0xaf), Buffer.from('"}')])),
    noPayload,
  ],
  'half a surrogate pair in UTF-8': [
    createRawToken(rsa, header, Buffer.concat([Buffer.from('{"a":"'), bytes(0xed, 0xa0, 0x80), Buffer.from('"}')])),
    noPayload,
  ],
  'half a surrogate pair, escaped': [withClaim('"name":"\\ud800"'), noPayload],
  'half a surrogate pair in a member name': [withClaim('"\\udc00":1'), noPayload],
  'half a surrogate pair in a list': [withClaim('"names":[["\\ud800"]]'), noPayload],
  'a control character as it is': [withClaim('"name":"\u0000"'), noPayload],
  'an overlong NUL in UTF-8': [
    createRawToken(rsa, header, Buffer.concat([Buffer.from('{"a":"'), bytes(0xc0, 0x80), Buffer.from('"}')])),
    noPayload,
  ],
  'UTF-8 that is cut off': [createRawToken(rsa, header, Buffer.concat([Buffer.from(claims), bytes(0xc3)])), noPayload],
  'two halves of a pair in the wrong order': [withClaim('"name":"\\ude00\\ud83d"'), noPayload],
  'a payload in single quotes': [createRawToken(rsa, header, claims.replaceAll('"', "'")), noPayload],
  'a payload in Latin-1': [
    createRawToken(rsa, header, Buffer.from(`${claims.slice(0, -1)},"n":"é"}`, 'latin1')),
    noPayload,
  ],
  'a payload behind a NUL': [createRawToken(rsa, header, `\u0000${claims}`), noPayload],
  'a payload before a NUL': [createRawToken(rsa, header, `${claims}\u0000`), noPayload],
  'a payload behind a blank that JSON does not know': [createRawToken(rsa, header, `\u00a0${claims}`), noPayload],
  'a payload of two lines, each an object': [createRawToken(rsa, header, `${claims}\n${claims}`), noPayload],
  'a number that is none (NaN)': [withClaim('"n":NaN'), noPayload],
  'a number in hexadecimal': [withClaim('"n":0x10'), noPayload],
  'a number beyond all numbers': [withClaim('"n":1e400'), noPayload],
  'a number of eleven thousand digits': [withClaim(`"n":${'9'.repeat(11_000)}`), noPayload],
  'an escape that is none': [withClaim('"n":"\\x41"'), noPayload],
  'iss twice, the good one last': [
    createRawToken(rsa, header, `{"iss":"https://attacker.test",${claims.slice(1)}`),
    noPayload,
  ],
  'exp twice': [withClaim(`"exp":1`), noPayload],
  'aud twice': [withClaim(`"aud":"https://other.example"`), noPayload],
  'a member twice': [withClaim('"scope":"admin"'), noPayload],
  'a member twice, once escaped': [withClaim('"sc\\u006fpe":"admin"'), noPayload],
  'a member twice with a blank before the colon': [withClaim('"scope"\t :"admin"'), noPayload],
  'a member twice, further in': [withClaim('"realm_access":{"roles":[],"roles":["admin"]}'), noPayload],
  'a member twice in a list': [withClaim('"list":[{"a":1,"a":2}]'), noPayload],
  '__proto__ twice': [withClaim('"__proto__":{},"__proto__":{"scope":"admin"}'), noPayload],
  'alg twice in the header': [withHeader('"alg":"none"'), noHeader],
  'kid twice in the header': [withHeader('"kid":"other"'), noHeader],
  'crit twice in the header, once spelt otherwise': [withHeader('"cr\\u0069t":[],"crit":[]'), noHeader],
  'a header that is empty': [createRawToken(rsa, '', claims), noParts],
  'a header that is null': [createRawToken(rsa, 'null', claims), noHeader],
  'a header with something behind it': [createRawToken(rsa, `${header}x`, claims), noHeader],
  'a header nested a thousand deep': [withHeader(`"x":${'['.repeat(1000)}${']'.repeat(1000)}`), noHeader],
  'a header that is not UTF-8': [
    createRawToken(rsa, Buffer.concat([Buffer.from(header), bytes(0xff)]), claims),
    noHeader,
  ],
  'a header that is a list': [createRawToken(rsa, `[${header}]`, claims), noHeader],
  'a header that is no JSON': [createRawToken(rsa, 'RS256', claims), noHeader],
  'a header with a byte order mark': [createRawToken(rsa, `\ufeff${header}`, claims), noHeader],
  'a payload nested a thousand deep': [withClaim(`"deep":${'['.repeat(1000)}${']'.repeat(1000)}`), noPayload],
  'a payload of objects nested fifteen hundred deep': [
    withClaim(`"a":${'{"a":'.repeat(1500)}1${'}'.repeat(1500)}`),
    noPayload,
  ],
  'brackets that nobody closes': [createRawToken(rsa, header, '['.repeat(12_000)), noPayload],
  'a token that is larger than allowed': [withClaim(`"filler":"${'x'.repeat(16_384)}"`), /max_token_size/],
  'a header that is larger than allowed': [withHeader(`"x":"${'x'.repeat(16_384)}"`), /max_token_size/],
}

/** What no header can carry, or would end another way there: should a token ever come from somewhere else. */
const uncarried: Record<string, [token: string, reason: RegExp]> = {
  'no text': ['', noParts],
  'a blank before it': [` ${good}`, noParts],
  'a blank behind it': [`${good} `, noParts],
  'a line break in the payload': [`${head}.${body.slice(0, 9)}\n${body.slice(9)}.${signature}`, noParts],
  'a NUL behind it': [`${good}\u0000`, noParts],
  'a NUL in the header': [`${head}\u0000.${body}.${signature}`, noParts],
  'a million characters': ['a'.repeat(1_000_000), /max_token_size/],
  'a million dots': ['.'.repeat(1_000_000), /max_token_size/],
}

describe('a token that could be read in two ways, or in none, is refused', () => {
  for (const [name, [token, reason]] of Object.entries(malformed)) {
    test(name, () => gate.refuses(token, reason))
  }
  for (const [name, [token, reason]] of Object.entries(uncarried)) {
    test(name, () => expectRefusal(verifier, token, reason))
  }
})

describe('what only looks like it is accepted', () => {
  const harmless: Record<string, string> = {
    'the token as it is': good,
    'blanks between the members': createRawToken(rsa, header, JSON.stringify(parts().claims, null, 2)),
    'a colon and quotes in a text': withClaim('"note":"\\"scope\\": \\\\"'),
    'a quote and a colon within a text': withClaim('"note":"x\\":1"'),
    'a text that looks like a member': withClaim('"notes":["scope",":"]'),
    'one name in two objects': withClaim('"a":{"scope":"x"},"b":{"scope":"y"}'),
    'a member called __proto__': withClaim('"__proto__":{"scope":"admin"}'),
    'a whole surrogate pair': withClaim('"name":"\\ud83d\\ude00"'),
  }
  for (const [name, token] of Object.entries(harmless)) {
    test(name, () => gate.passes(token))
  }
})

test('whatever is sent as a token, the answer is 401 and nothing else', async () => {
  const part = fc.oneof(fc.string(), fc.base64String(), fc.json().map(encode), fc.constantFrom(head, body, signature))
  const token = fc.oneof(
    fc.string(),
    fc.array(part, { maxLength: 6 }).map((all) => all.join('.')),
  )
  await fc.assert(
    fc.asyncProperty(token, async (text) => {
      fc.pre(text !== good)
      const error: unknown = await verifier.verify(text).catch((thrown) => thrown)
      expect(error).toBeInstanceOf(GatewayError)
      expect(error).toMatchObject({ code: 'invalid_token' })
    }),
    { numRuns: 2000 },
  )
})

test('a good signature over any claims opens nothing that the issuer did not say', async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), fc.jsonValue(), async (scope, client) => {
      const token = createToken(rsa, parts({ claims: { scope, client_id: client } }))
      const outcome = await verifier.verify(token).catch((thrown) => thrown)
      if (outcome instanceof GatewayError) expect(outcome.code).toBe('invalid_token')
      else
        expect(outcome.scopes.every((value: unknown) => typeof value === 'string' && !value.includes(' '))).toBe(true)
    }),
    { numRuns: 200 },
  )
})
