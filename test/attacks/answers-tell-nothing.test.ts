/**
 * The attack: a caller sends token after token and reads from the answers which of its guesses was right: whether the
 * issuer is trusted here, whether a key of that name exists, whether only the signature is wrong or only the audience.
 * An answer that differs tells. RFC 6750 section 3.1 has one error for all of these; the log, and only the log, has the
 * reason.
 */
import { generateKeyPairSync } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { parseAnswers } from '../harness/raw-client.ts'
import { type StrictUpstream, startStrictUpstream } from '../harness/strict-upstream.ts'
import { createRawToken, createSigningKey, createToken, encode } from '../harness/tokens.ts'
import { exchange } from './guarded.ts'

let sso: AuthorizationServer
let other: AuthorizationServer
let upstream: StrictUpstream
let gateway: RunningGateway

beforeAll(async () => {
  sso = await startAuthorizationServer()
  other = await startAuthorizationServer()
  upstream = await startStrictUpstream()
  gateway = await startGateway(`
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test", max_token_size: 4KiB } }
  other: { issuer: "${other.issuer}", access_tokens: { audience: any } }
routes:
  - { path: /guarded, require: { scopes: [customer.read], issuers: [sso] }, upstream: "${upstream.url}" }
`)
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop(), sso.stop(), other.stop()]))

const now = () => Math.floor(Date.now() / 1000)
const foreign = createSigningKey('RS256', 'foreign')

/** By what is wrong with it. */
async function badTokens(): Promise<Record<string, string>> {
  const good = await sso.issueToken({ scope: 'customer.read' })
  const [header = '', payload = '', signature = ''] = good.split('.')
  const claims = JSON.parse(Buffer.from(payload, 'base64url').toString())
  const head = JSON.parse(Buffer.from(header, 'base64url').toString())
  const hmac = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey.export({ type: 'spki', format: 'pem' })
  return {
    'no JWT': 'abc',
    'a part too few': `${header}.${payload}`,
    'five parts': `${good}.a.b`,
    'characters that no token has': `${good}!`,
    'no JSON': createRawToken(foreign, '{', '{'),
    'a member twice': createRawToken(foreign, JSON.stringify(head), `{"iss":"a","iss":"b"}`),
    'alg none': `${encode(JSON.stringify({ ...head, alg: 'none' }))}.${payload}.`,
    'alg HS256': `${encode(JSON.stringify({ ...head, alg: 'HS256' }))}.${payload}.${encode(String(hmac).slice(0, 32))}`,
    'a kid that is unknown': createToken(foreign, { claims, header: head && { typ: head.typ } }),
    "a kid of the server's, and a foreign key": createToken(foreign, {
      claims,
      header: { typ: head.typ, kid: head.kid },
    }),
    'another signature': `${header}.${payload}.${signature.slice(0, -8)}AAAAAAAA`,
    'another payload': `${header}.${encode(JSON.stringify({ ...claims, scope: 'admin' }))}.${signature}`,
    'an issuer that is not trusted': createToken(foreign, {
      claims: { ...claims, iss: 'https://evil.example' },
      header: {},
    }),
    'no issuer': createToken(foreign, { claims: { ...claims, iss: undefined }, header: {} }),
    'a server that the route does not name': await other.issueToken({ scope: 'customer.read' }),
    expired: await sso.signToken({ exp: now() - 60, scope: 'customer.read' }),
    'not valid yet': await sso.signToken({ nbf: now() + 600, scope: 'customer.read' }),
    'another audience': await sso.signToken({ aud: 'https://elsewhere.example', scope: 'customer.read' }),
    'another type': await sso.signToken({ scope: 'customer.read' }, { typ: 'logout+jwt' }),
    'an ID token': await sso.signToken({ scope: 'customer.read', nonce: 'n' }),
    'a size that is too large': await sso.signToken({ scope: 'customer.read', filler: 'x'.repeat(5000) }),
  }
}

async function answerTo(authorization: string): Promise<string> {
  const bytes = `GET /guarded HTTP/1.1\r\nHost: a\r\nAuthorization: ${authorization}\r\nConnection: close\r\n\r\n`
  const received = await exchange(gateway.port, bytes, () => false)
  expect(parseAnswers(received)).toHaveLength(1)
  return received.replace(/Date: [^\r]*/, 'Date: now').replace(/"request_id":"[0-9a-f-]{36}"/, '"request_id":"some"')
}

test('whatever is wrong with a token, the answer is the same to the byte', async () => {
  const tokens = await badTokens()
  const expected = [
    'HTTP/1.1 401 Unauthorized',
    'content-type: application/problem+json',
    expect.stringMatching(/^content-length: \d+$/),
    'cache-control: no-store',
    'www-authenticate: Bearer realm="scopegate", error="invalid_token", error_description="The access token is malformed, expired, revoked, or not meant for this service."',
    'Date: now',
    'Connection: close',
    '',
    '{"title":"Unauthorized","status":401,"code":"invalid_token","detail":"The access token is malformed, expired, revoked, or not meant for this service.","request_id":"some"}',
  ]
  const reasons = new Set<unknown>()
  for (const [what, token] of Object.entries(tokens)) {
    expect([what, ...(await answerTo(`Bearer ${token}`)).split('\r\n')]).toEqual([what, ...expected])
    reasons.add(gateway.lastLine().reason)
  }
  expect(reasons.size).toBeGreaterThan(12)
  expect(upstream.connections.join('')).toBe('')
})

test('whoever has no token learns that one is needed, and nothing of the route', async () => {
  const answers = await Promise.all(
    ['Basic YTpi', 'Digest a="b"', 'DPoP abc', 'Negotiate YTpi', 'Bearer', 'Bearer ', 'bearer', 'Token abc', ''].map(
      answerTo,
    ),
  )
  expect(new Set(answers).size).toBe(1)
  expect(answers[0]).toContain('www-authenticate: Bearer realm="scopegate"\r\n')
  expect(answers[0]).not.toMatch(/customer|error=|scope="/)
  expect(upstream.connections.join('')).toBe('')
})

test('whoever lacks scope learns which, as RFC 6750 has it, and nothing of the rest', async () => {
  const lacking = await Promise.all(
    ['customer.write', 'country.read', 'customer.write country.read'].map(async (scope) =>
      answerTo(`Bearer ${await sso.issueToken({ scope })}`),
    ),
  )
  expect(new Set(lacking).size).toBe(1)
  expect(lacking[0]).toContain('error="insufficient_scope"')
  expect(lacking[0]).toContain('scope="customer.read"')
  expect(lacking[0]).not.toContain('customer.write')
})
