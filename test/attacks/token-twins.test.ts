/**
 * A verified token is remembered, so that its signature is checked once. The attacker knows a good token, or has one of
 * their own, and makes another that the memory takes for it: the same claims under another signature, another spelling of
 * the same bytes, the same beginning or end. Then nobody checks what was changed. Or they count on it that what was true
 * once is not asked again: that the token has not expired, that this route takes tokens of that server, that its scope is
 * enough here too; or that one of thousands of callers at once is answered as another one.
 */
import { describe, expect, test } from 'vitest'
import { createTestClock } from '../harness/clock.ts'
import { startGateway } from '../harness/gateway.ts'
import { startKeyServer } from '../harness/key-server.ts'
import { ask } from '../harness/raw-client.ts'
import { headerValues } from '../harness/seen-request.ts'
import { createRawToken, createSigningKey, createToken, encode, type Members, signBytes } from '../harness/tokens.ts'
import { startUpstream } from '../harness/upstream.ts'
import { audience, issuer, parts } from '../ingress/verifier.ts'
import { createKeeper } from '../proxy/keep.ts'
import { guardTokens, scopeLacking } from './token-gate.ts'

const rsa = createSigningKey('RS256')
const ec = createSigningKey('ES256')
const forger = createSigningKey('RS256')
const partner = createSigningKey('RS256')
const partnerIssuer = 'https://login.partner.test'
const start = Number(parts().claims.iat)

const gate = guardTokens({
  servers: [{ keys: [rsa, ec] }, { name: 'partner', issuer: partnerIssuer, keys: [partner] }],
  key: rsa,
  good: { exp: start + 86_400 },
  routes: [
    { path: '/admin/**', require: { scopes: ['admin.read'] } },
    { path: '/partner/**', require: { issuers: ['partner'] } },
    { path: '/any/**', require: 'any_token' },
  ],
})

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
const swapCase = (text: string) =>
  text.replace(/[a-zA-Z]/, (c) => (c === c.toLowerCase() ? c.toUpperCase() : c.toLowerCase()))

/** What is made of a token that the gateway remembers. */
const twins: Record<string, [twin: (header: string, payload: string, signature: string) => string, reason?: RegExp]> = {
  'the same claims, signed by somebody else': [
    (header, payload) => `${header}.${payload}.${encode(signBytes(forger, `${header}.${payload}`))}`,
    /signature is wrong/,
  ],
  'the same claims and no signature': [(header, payload) => `${header}.${payload}.`],
  'the same claims, unsigned by their own word': [(_, payload) => `${encode('{"alg":"none"}')}.${payload}.`],
  'other claims, the same signature': [
    (header, payload, signature) =>
      `${header}.${encode(decoded(payload).replace('customer.read', 'admin.read'))}.${signature}`,
    /signature is wrong/,
  ],
  'other claims of the same length at their very end': [
    (header, payload, signature) => `${header}.${encode(decoded(payload).replace(/\d}$/, '9}'))}.${signature}`,
    /signature is wrong/,
  ],
  'another header, the same signature': [
    (header, payload, signature) => `${encode(decoded(header).replace('{', '{"x":1,'))}.${payload}.${signature}`,
    /signature is wrong/,
  ],
  'another letter at the end of the signature': [
    (header, payload, signature) =>
      `${header}.${payload}.${signature.slice(0, -2)}${next(signature.at(-2))}${signature.at(-1)}`,
    /signature is wrong/,
  ],
  'another letter in the middle of the signature': [
    (header, payload, signature) =>
      `${header}.${payload}.${signature.slice(0, 150)}${next(signature[150])}${signature.slice(151)}`,
    /signature is wrong/,
  ],
  'another letter at the beginning of the signature': [
    (header, payload, signature) => `${header}.${payload}.${next(signature[0])}${signature.slice(1)}`,
    /signature is wrong/,
  ],
  'one letter of the signature in the other case': [
    (header, payload, signature) => `${header}.${payload}.${swapCase(signature)}`,
    /signature is wrong/,
  ],
  'everything in small letters': [(...all) => all.join('.').toLowerCase(), /./],
  'the same bits, by a last letter with stray ones': [
    (header, payload, signature) => `${header}.${payload}.${signature.slice(0, -1)}${next(signature.at(-1))}`,
  ],
  padding: [(...all) => `${all.join('.')}==`],
  'a point behind it': [(...all) => `${all.join('.')}.`],
  'a letter behind it': [(...all) => `${all.join('.')}A`, /signature is wrong/],
  'a letter less': [(...all) => all.join('.').slice(0, -1)],
  'a letter before it': [(...all) => `A${all.join('.')}`, /./],
  'the other alphabet': [(header, payload, signature) => `${header}.${payload}.${signature.replace(/[-_]|.$/, '+')}`],
  'half of it': [(...all) => all.join('.').slice(0, 300)],
  twice: [(...all) => `${all.join('.')}${all.join('.')}`, /five parts/],
}

describe('a twin of a remembered token is another token', () => {
  for (const [name, [twin, reason = /three parts/]] of Object.entries(twins)) {
    test(name, async () => {
      const good = createToken(rsa, parts({ claims: { jti: name, note: 7 } }))
      const [header = '', payload = '', signature = ''] = good.split('.')
      const other = twin(header, payload, signature)
      expect(other).not.toBe(good)
      await gate.refuses(other, reason)
      await gate.passes(good)
      await gate.refuses(other, reason)
      await gate.passes(good)
      await gate.refuses(other, reason)
    })
  }

  test('the same claims by another server, of the same key id', async () => {
    const claims = parts({ claims: { jti: 'both' } })
    await gate.passes(createToken(rsa, claims))
    await gate.refuses(createToken(partner, claims), /signature is wrong/)
    await gate.passes(createToken(rsa, claims))
  })

  test('a second signature of the same claims, by the right key, is good by itself', async () => {
    const claims = parts({ claims: { jti: 'twice' } })
    const [one, two] = [createToken(ec, claims), createToken(ec, claims)]
    expect(one).not.toBe(two)
    await gate.passes(one)
    await gate.passes(two)
  })

  test('the same text, in which only blanks between the members differ, signed once', async () => {
    const { claims } = parts({ claims: { jti: 'blanks' } })
    const [header, signed] = ['{"alg":"RS256","kid":"RS256"}', JSON.stringify(claims)]
    const good = createRawToken(rsa, header, signed)
    await gate.passes(good)
    const spaced = encode(JSON.stringify(claims, null, 1))
    await gate.refuses(`${encode(header)}.${spaced}.${good.split('.')[2]}`, /signature is wrong/)
  })
})

describe('what was found about a token once is asked again', () => {
  const token = (claims: Members) => createToken(rsa, parts({ claims: { exp: start + 86_400, ...claims } }))

  test('whether its scope is enough for this route', async () => {
    const reader = token({ jti: 'reader' })
    await gate.passes(reader)
    await gate.refuses(reader, /lacks admin.read/, scopeLacking('admin.read'), '/admin/a')
    const admin = token({ jti: 'admin', scope: 'admin.read' })
    await gate.passes(admin, '/admin/ok')
    await gate.refuses(admin, /lacks customer.read/, scopeLacking('customer.read'))
    await gate.refuses(reader, /lacks admin.read/, scopeLacking('admin.read'), '/admin/b')
  })

  test('whether this route takes tokens of its server', async () => {
    const ours = token({ jti: 'ours' })
    await gate.passes(ours, '/any/ours')
    await gate.refuses(ours, /does not take tokens of sso/, undefined, '/partner/a')
    await gate.refuses(ours, /does not take tokens of sso/, undefined, '/partner/a')
    const theirs = createToken(partner, parts({ claims: { iss: partnerIssuer, exp: start + 86_400 } }))
    await gate.passes(theirs, '/partner/theirs')
    await gate.passes(theirs, '/any/theirs')
  })

  test('whether it comes twice, as another one in the query', async () => {
    const good = token({ jti: 'query' })
    await gate.passes(good)
    await gate.refuses(`${good},${good}`, /malformed/)
  })

  test('whether it has expired, to the moment', async () => {
    const short = createToken(rsa, parts({ claims: { jti: 'short' } }))
    await gate.passes(short)
    await gate.clock.advance(304_999)
    await gate.passes(short)
    await gate.clock.advance(1)
    await gate.refuses(short, /expired/)
    await gate.refuses(short, /expired/)
  })
})

const { keep } = createKeeper()

test('a thousand requests at once, of forty clients and as many forgers of their tokens, are each answered as their own', async () => {
  const keyServer = await keep(startKeyServer('sso', rsa.jwk))
  const upstream = await keep(startUpstream())
  const config = {
    authorization_servers: {
      sso: { issuer, jwks_uri: await keyServer.server.endpoint('jwks_uri'), access_tokens: { audience } },
    },
    identity_headers: { 'X-Client-Id': 'client_id', 'X-Scope': 'scope' },
    routes: [{ path: '/**', require: { any_scope: ['a', 'b'] }, upstream: upstream.url }],
  }
  const gateway = await keep(startGateway(JSON.stringify(config), { clock: createTestClock() }))
  const clients = Array.from({ length: 40 }, (_, index) => {
    const claims = { client_id: `client-${index}`, scope: index % 2 ? 'a' : 'b', sub: 'same' }
    const good = createToken(rsa, parts({ claims }))
    const [header, payload] = good.split('.')
    return { claims, good, forged: `${header}.${payload}.${encode(signBytes(forger, `${header}.${payload}`))}` }
  })
  const send = (token: string, path: string, client: string) =>
    ask(
      gateway.port,
      `GET ${path} HTTP/1.1\r\nHost: a\r\nX-Client-Id: ${client}\r\nAuthorization: Bearer ${token}\r\nConnection: close\r\n\r\n`,
    )
  for (let round = 0; round < 13; round += 1) {
    await Promise.all(
      clients.flatMap(({ good, forged, claims }, index) => [
        send(forged, `/forged/${index}`, claims.client_id).then(({ status }) => expect(status).toBe(401)),
        send(good, `/good/${index}`, 'client-0').then(({ status }) => expect(status).toBe(200)),
      ]),
    )
  }
  expect(upstream.requests).toHaveLength(13 * clients.length)
  for (const seen of upstream.requests) {
    const client = clients[Number(seen.url.replace('/good/', ''))]
    expect(headerValues(seen, 'authorization')).toEqual([`Bearer ${client?.good}`])
    expect(headerValues(seen, 'x-client-id')).toEqual([client?.claims.client_id])
    expect(headerValues(seen, 'x-scope')).toEqual([client?.claims.scope])
  }
})

function decoded(part: string): string {
  return Buffer.from(part, 'base64url').toString()
}

/** Another letter that carries other bits, but for the last of a signature, whose bits do not all count. */
function next(letter = 'A'): string {
  return alphabet[(alphabet.indexOf(letter) + 1) % 64] ?? 'A'
}
