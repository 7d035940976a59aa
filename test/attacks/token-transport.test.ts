/**
 * There is a good token in the request, or something that looks like one, but not where a token belongs: in the URL, where
 * logs and histories keep it; in a body, a cookie or a header that only some servers look at; twice, so that the gateway
 * checks the one and the upstream believes the other; behind a scheme that is not Bearer; with something glued to it. And
 * a caller without any token tries whatever other gateways took for one.
 */
import { describe, test } from 'vitest'
import { createSigningKey, createToken } from '../harness/tokens.ts'
import { parts } from '../ingress/verifier.ts'
import { type Attack, guardTokens, refusals } from './token-gate.ts'

const rsa = createSigningKey('RS256')
const gate = guardTokens({ servers: [{ keys: [rsa] }], key: rsa })
const token = gate.goodToken
const other = createToken(rsa, parts({ claims: { scope: 'admin' } }))
const line = `Authorization: Bearer ${token}\r\n`
const formOf = (body: string, more = '') =>
  `${more}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n`

const nowhere: Record<string, Partial<Attack>> = {
  'in no header at all': {},
  'in the query': { target: `/guarded/a?access_token=${token}` },
  'in the query, by the name of a bearer': { target: `/guarded/a?Bearer=${token}&token=${token}` },
  'in the query, spelt with a percent sign': { target: `/guarded/a?access%5Ftoken=${token}` },
  'in the path': { target: `/guarded/${token}` },
  'as a parameter of the path': { target: `/guarded/a;access_token=${token}` },
  'in a form': { method: 'POST', lines: formOf(`access_token=${token}`), body: `access_token=${token}` },
  'in the form of a GET': { lines: formOf(`access_token=${token}`), body: `access_token=${token}` },
  'in a cookie': { lines: `Cookie: access_token=${token}; Authorization=Bearer%20${token}\r\n` },
  'in X-Forwarded-Access-Token': { lines: `X-Forwarded-Access-Token: ${token}\r\n` },
  'in X-Access-Token': { lines: `X-Access-Token: ${token}\r\n` },
  'in X-Auth-Token': { lines: `X-Auth-Token: ${token}\r\n` },
  'in X-Authorization': { lines: `X-Authorization: Bearer ${token}\r\n` },
  'in X-Forwarded-Authorization': { lines: `X-Forwarded-Authorization: Bearer ${token}\r\n` },
  'in X-Original-Authorization': { lines: `X-Original-Authorization: Bearer ${token}\r\n` },
  'in X-Goog-IAP-JWT-Assertion': { lines: `X-Goog-IAP-JWT-Assertion: ${token}\r\n` },
  'in Cf-Access-Jwt-Assertion': { lines: `Cf-Access-Jwt-Assertion: ${token}\r\n` },
  'in Authentication': { lines: `Authentication: Bearer ${token}\r\n` },
  'in Authorisation': { lines: `Authorisation: Bearer ${token}\r\n` },
  'in Authorization_': { lines: `Authorization_: Bearer ${token}\r\n` },
  'in HTTP_AUTHORIZATION': { lines: `HTTP_AUTHORIZATION: Bearer ${token}\r\n` },
  'in Proxy-Authorization': { lines: `Proxy-Authorization: Bearer ${token}\r\n` },
  'in DPoP': { lines: `DPoP: ${token}\r\n` },
  'in the user of From': { lines: `From: ${token}@example.test\r\n` },
  'in the subprotocol of a WebSocket that is none': { lines: `Sec-WebSocket-Protocol: bearer, ${token}\r\n` },
  'in a trailer': {
    method: 'POST',
    lines: 'Transfer-Encoding: chunked\r\nTrailer: Authorization\r\n',
    body: `0\r\n${line}\r\n`,
  },
}

describe('a good token in the wrong place is none', () => {
  for (const [name, attack] of Object.entries(nowhere)) {
    test(name, () =>
      gate.refusesRequest({
        lines: '',
        ...attack,
        reason: /no bearer token in the Authorization header/,
        refusal: refusals.tokenRequired,
      }),
    )
  }
})

const basic = (text: string) => Buffer.from(text).toString('base64')
const schemes: Record<string, string> = {
  'Basic with the token as it is': `Basic ${token}`,
  'Basic with the token as the password': `Basic ${basic(`bearer:${token}`)}`,
  'Basic with the token as the user': `Basic ${basic(`${token}:x-oauth-basic`)}`,
  'Basic before Bearer': `Basic ${basic('a:b')}, Bearer ${token}`,
  'another scheme that has Bearer in it': `XBearer ${token}`,
  'a scheme that only begins like it': `Bearers ${token}`,
  'Bearer and the token without a blank': `Bearer${token}`,
  'Bearer with an underscore': `Bearer_${token}`,
  'the scheme of a JWT': `JWT ${token}`,
  'the scheme Token': `Token ${token}`,
  'the scheme OAuth': `OAuth ${token}`,
  'the scheme DPoP': `DPoP ${token}`,
  'the scheme MAC': `MAC id="${token}"`,
  'no scheme': token,
  'Bearer alone': 'Bearer',
  'Bearer and blanks': 'Bearer   ',
  'Bearer in letters of another width': `\xefB\xbdearer ${token}`,
  nothing: '',
  'Bearer in quotes': `"Bearer ${token}"`,
}

describe('behind another scheme there is no bearer token', () => {
  for (const [name, value] of Object.entries(schemes)) {
    test(name, () =>
      gate.refusesRequest({
        lines: `Authorization: ${value}\r\n`,
        reason: /no bearer token in the Authorization header/,
        refusal: refusals.tokenRequired,
      }),
    )
  }
})

const glued: Record<string, string> = {
  'a comma and another token': `Bearer ${token},${other}`,
  'a comma, a blank and another token': `Bearer ${token}, Bearer ${other}`,
  'a comma and another scheme': `Bearer ${token}, Basic YTpi`,
  'a blank and another token': `Bearer ${token} ${other}`,
  'the scheme twice': `Bearer Bearer ${token}`,
  'a semicolon and a parameter': `Bearer ${token}; realm="a"`,
  'a parameter with the token': `Bearer access_token=${token}`,
  'a parameter with the token in quotes': `Bearer token="${token}"`,
  quotes: `Bearer "${token}"`,
  'angle brackets': `Bearer <${token}>`,
  'a colon behind the scheme': `Bearer: ${token}`,
  'an equals sign behind the scheme': `Bearer=${token}`,
  'a tab behind the scheme': `Bearer\t${token}`,
  'a blank and a tab behind the scheme': `Bearer \t${token}`,
  'a blank that is none (NBSP)': `Bearer\xa0${token}`,
  'a blank that is none, behind one': `Bearer \xa0${token}`,
  'a byte order mark': `Bearer \xef\xbb\xbf${token}`,
  'a percent sign': `Bearer ${token}%20`,
  'a backslash': `Bearer ${token}\\`,
  'a query': `Bearer ${token}?a=b`,
  'a fragment': `Bearer ${token}#a`,
  'a brace': `Bearer {${token}}`,
  'a token of a thousand percent signs': `Bearer ${'%41'.repeat(1000)}`,
  'padding before it': `Bearer =${token}`,
}

describe('a good token with something glued to it is a bad one', () => {
  for (const [name, value] of Object.entries(glued)) {
    test(name, () => gate.refusesRequest({ lines: `Authorization: ${value}\r\n`, reason: /bearer token is malformed/ }))
  }
})

describe('two tokens are refused, whichever is the good one', () => {
  const twice: Record<string, string> = {
    'the same twice': `${line}${line}`,
    'a bad one behind it': `${line}Authorization: Bearer ${other}\r\n`,
    'a bad one before it': `Authorization: Bearer ${other}\r\n${line}`,
    'Basic before it': `Authorization: Basic YTpi\r\n${line}`,
    'an empty one before it': `Authorization: \r\n${line}`,
    'an empty one behind it': `${line}Authorization:\r\n`,
    'in another case': `authorization: Bearer ${other}\r\n${line}`,
    'far apart': `${line}X-A: 1\r\nX-B: 2\r\nAUTHORIZATION: Bearer ${other}\r\n`,
  }
  for (const [name, lines] of Object.entries(twice)) {
    test(name, () => gate.refusesRequest({ lines, reason: /authorization/i, refusal: refusals.duplicateHeader }))
  }

  const queries = [
    'access_token=b',
    'a=1&access_token',
    'Access_Token=b',
    'access%5ftoken=b',
    'a=1;access_token=b',
    `access_token=${token}`,
  ]
  for (const query of queries) {
    test(`one in the header and one in the query: ${query.slice(0, 24)}`, () =>
      gate.refusesRequest({
        lines: line,
        target: `/guarded/a?${query}`,
        reason: /in the query beside the one in the header/,
        refusal: refusals.twoTokens,
      }))
  }
})

describe('a header that two servers would read as two', () => {
  const broken: Record<string, string> = {
    'a blank before the colon': `Authorization : Bearer ${token}\r\n`,
    'a blank before the name, behind another header': `X-A: b\r\n Authorization: Bearer ${token}\r\n`,
    'a line that goes on in the next': `Authorization: Bearer\r\n ${token}\r\n`,
    'a line break by a line feed alone': `X-A: b\nAuthorization: Bearer ${token}\r\n`,
    'a line break by a carriage return alone': `X-A: b\rAuthorization: Bearer ${token}\r\n`,
    'a NUL behind the token': `Authorization: Bearer ${token}\u0000\r\n`,
    'a NUL in the name': `Author\u0000ization: Bearer ${token}\r\n`,
    'a control character in the token': `Authorization: Bearer \u007f${token}\r\n`,
  }
  for (const [name, lines] of Object.entries(broken)) {
    test(name, () => gate.refusesRequest({ lines, reason: /./, refusal: refusals.malformedRequest }))
  }
  test('a token of a million dots', () =>
    gate.refusesRequest({
      lines: `Authorization: Bearer ${'.'.repeat(1_000_000)}\r\n`,
      reason: /./,
      refusal: refusals.headersTooLarge,
    }))
  test('a token of as many dots as a header may have', () =>
    gate.refusesRequest({ lines: `Authorization: Bearer ${'.'.repeat(60_000)}\r\n`, reason: /max_token_size/ }))
})

describe('what is no attack passes, and the upstream has just this', () => {
  const harmless: Record<string, { readonly lines: string; readonly seen: string; readonly body?: string }> = {
    'the scheme in small letters': { lines: `Authorization: bearer ${token}\r\n`, seen: `bearer ${token}` },
    'the scheme in capitals': { lines: `AUTHORIZATION: BEARER ${token}\r\n`, seen: `BEARER ${token}` },
    'two blanks behind the scheme': { lines: `Authorization: Bearer  ${token}\r\n`, seen: `Bearer  ${token}` },
    'blanks around the value': { lines: `Authorization: \t Bearer ${token} \t\r\n`, seen: `Bearer ${token}` },
    'a form with a token in it, which is its own business': {
      lines: formOf(`access_token=${other}`, line),
      seen: `Bearer ${token}`,
      body: `access_token=${other}`,
    },
  }
  for (const [name, request] of Object.entries(harmless)) test(name, () => gate.passesRequest(request))
})
