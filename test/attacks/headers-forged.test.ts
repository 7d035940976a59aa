/**
 * The attack: a caller says by headers what only a gateway may say. Who it is (X-Client-Id, in any spelling that the
 * upstream's server folds together), where it comes from (X-Forwarded-For), which target was really meant
 * (X-Original-URL), or which of the gateway's own headers are to be dropped on the way (Connection). Each of these has
 * opened some proxy's upstream: Fabio by Connection, oauth2-proxy by underscores and X-Forwarded-Uri, Next.js by
 * x-middleware-subrequest, CGI programs by Proxy.
 */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { buildRequestHeaders, compileHeaderPolicy } from '../../src/proxy/request-headers.ts'
import { ask } from '../harness/raw-client.ts'
import { headerValues } from '../harness/seen-request.ts'
import { startUpstream } from '../harness/upstream.ts'
import { createKeeper } from '../proxy/keep.ts'
import type { ProxyServerOptions } from '../proxy/proxy-server.ts'

const { keep, proxyTo } = createKeeper()
const identity = { 'X-Client-Id': ['client_id'] } as const
const token = { header: 'Authorization', scheme: 'Bearer', value: 'the-token-of-the-gateway' }

/** What the upstream sees of a request with these header lines. */
async function seen(lines: string, options: Partial<ProxyServerOptions> = {}) {
  const upstream = await keep(startUpstream())
  const proxy = await proxyTo(upstream.url, options)
  await ask(proxy.port, `GET /a HTTP/1.1\r\nhost: api.example.com\r\n${lines}\r\n\r\n`)
  const [request] = upstream.requests
  if (!request) throw new Error('nothing arrived')
  return request
}
const onTokenRoute: Partial<ProxyServerOptions> = { policy: { tokenHeader: 'Authorization' }, exchange: { token } }

describe('an identity header of the caller never arrives, however it is spelt:', () => {
  const spellings = [
    'X-Client-Id',
    'x-client-id',
    'X_Client_Id',
    'X-Client_Id',
    'x.client.id',
    'X~Client-Id',
    'X-CLIENT-ID',
  ]
  test.each(spellings)('%s', async (name) => {
    const policy = { reservedHeaders: ['X-Client-Id'] }
    expect((await seen(`${name}: admin`, { policy })).rawHeaders).not.toContain('admin')
    const own = { policy: { ...policy, identityHeaders: identity }, exchange: { claims: { client_id: 'me' } } }
    const request = await seen(`${name}: admin\r\n${name}: admin`, own)
    expect(headerValues(request, 'x-client-id')).toEqual(['me'])
    expect(request.rawHeaders).not.toContain('admin')
  })

  test('and where the claim is absent, there is no header', async () => {
    const request = await seen('x-client-id: admin', {
      policy: { identityHeaders: identity },
      exchange: { claims: {} },
    })
    expect(request.headers).not.toHaveProperty('x-client-id')
  })
})

describe('Connection takes away no header that the gateway sets:', () => {
  test.each(['x-client-id', 'authorization', 'host', 'via', 'x-forwarded-for'])('%s', async (name) => {
    const request = await seen(
      `connection: close, ${name}\r\nproxy-connection: ${name}\r\nauthorization: Bearer of-the-caller`,
      {
        policy: { identityHeaders: identity },
        exchange: { claims: { client_id: 'me' } },
      },
    )
    expect(request.headers).toHaveProperty(name)
  })

  test('nor the token, but it does take away what it may', async () => {
    const request = await seen('connection: x-hop, authorization\r\nx-hop: 1\r\nx-end: 2', onTokenRoute)
    expect(headerValues(request, 'authorization')).toEqual([`Bearer ${token.value}`])
    expect(request.headers).not.toHaveProperty('x-hop')
    expect(request.headers).toHaveProperty('x-end', '2')
  })
})

describe('what names another target, host or step never arrives, not even from a trusted proxy:', () => {
  const names = [
    'X-Original-URL',
    'X-Rewrite-URL',
    'X-Original-URI',
    'X-Override-URL',
    'X-HTTP-DestinationURL',
    'X-Original-Host',
    'X-HTTP-Host-Override',
    'X-Forwarded-Uri',
    'X_Original_Url',
    'X-Middleware-Subrequest',
    'Proxy',
    'Proxy-Authorization',
    'Proxy-Connection',
    'X-Envoy-Original-Path',
    'X-Accel-Mapping',
  ]
  test.each(names)('%s', async (name) => {
    expect((await seen(`${name}: /forged`)).rawHeaders).not.toContain('/forged')
    expect((await seen(`${name}: /forged`, { exchange: { trustedPeer: true } })).rawHeaders).not.toContain('/forged')
  })
})

describe('what tells where a request comes from is believed from a trusted proxy alone:', () => {
  const names = [
    'X-Forwarded-For',
    'X-Forwarded-Proto',
    'X-Forwarded-Host',
    'X-Forwarded-Port',
    'X-Forwarded-Prefix',
    'Forwarded',
    'X-Real-IP',
    'X-Client-IP',
    'True-Client-IP',
    'X-Cluster-Client-IP',
    'CF-Connecting-IP',
    'Client-Cert',
    'X_Forwarded_For',
  ]
  test.each(names)('%s', async (name) => {
    expect((await seen(`${name}: 192.0.2.1`)).rawHeaders.join('\n')).not.toContain('192.0.2.1')
    if (name.includes('_')) return
    expect((await seen(`${name}: 192.0.2.1`, { exchange: { trustedPeer: true } })).rawHeaders.join('\n')).toContain(
      '192.0.2.1',
    )
  })

  test('the gateway says it itself', async () => {
    expect((await seen('x-forwarded-for: 192.0.2.1')).headers).toMatchObject({
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'api.example.com',
    })
    const publicUrl = 'https://public.example'
    expect((await seen('a: b', { exchange: { publicUrl } })).headers).toMatchObject({
      'x-forwarded-proto': 'https',
      'x-forwarded-host': 'public.example',
    })
  })

  test('behind a trusted proxy its word is kept, and its address added', async () => {
    const said =
      'x-forwarded-for: 192.0.2.1\r\nx-forwarded-for: 192.0.2.2\r\nx-forwarded-proto: https\r\nx-forwarded-host: outside.example'
    const request = await seen(said, { exchange: { trustedPeer: true, peerAddress: '::ffff:10.0.0.1' } })
    expect(headerValues(request, 'x-forwarded-for')).toEqual(['192.0.2.1, 192.0.2.2, 10.0.0.1'])
    expect(request.headers).toMatchObject({ 'x-forwarded-proto': 'https', 'x-forwarded-host': 'outside.example' })
  })
})

describe('to the upstream of a token route', () => {
  const inside = 'x-forwarded-for: 192.0.2.1\r\nforwarded: for=192.0.2.1\r\nx-real-ip: 192.0.2.1'
  const trace =
    'traceparent: 00-a\r\ntracestate: a\r\nbaggage: a\r\nb3: a\r\nx-b3-traceid: a\r\nuber-trace-id: a\r\nx-request-id: a\r\nx-correlation-id: a\r\nx-amzn-trace-id: a\r\nx-cloud-trace-context: a'
  const names = `${inside}\r\n${trace}`.split('\r\n').map((line) => line.split(':')[0] ?? '')

  test("goes the gateway's token, and never the caller's", async () => {
    const request = await seen('authorization: Bearer of-the-caller', onTokenRoute)
    expect(headerValues(request, 'authorization')).toEqual([`Bearer ${token.value}`])
    expect(request.rawHeaders.join()).not.toContain('of-the-caller')
  })

  test('goes the token in a header of its own, without a scheme, and Authorization not at all', async () => {
    const request = await seen('authorization: Bearer of-the-caller\r\nX_Api_Token: forged', {
      policy: { tokenHeader: 'X-Api-Token' },
      exchange: { token: { header: 'X-Api-Token', scheme: '', value: token.value } },
    })
    expect(headerValues(request, 'x-api-token')).toEqual([token.value])
    expect(request.headers).not.toHaveProperty('authorization')
    expect(request.rawHeaders).not.toContain('forged')
  })

  test('goes nothing at all without a token', async () => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url, { policy: { tokenHeader: 'Authorization' } })
    expect((await ask(proxy.port, 'GET / HTTP/1.1\r\nhost: x\r\nauthorization: Bearer mine\r\n\r\n')).status).toBe(500)
    expect(upstream.requests).toEqual([])
  })

  test('goes nothing that tells of the inside, not even from a trusted proxy', async () => {
    const request = await seen(`${inside}\r\n${trace}`, { ...onTokenRoute, exchange: { token, trustedPeer: true } })
    for (const name of [...names, 'x-forwarded-proto', 'x-forwarded-host'])
      expect(request.headers).not.toHaveProperty(name)
    expect(request.headers.via).toBe('1.1 scopegate-test')
  })

  test('goes it when asked for', async () => {
    const request = await seen(`${inside}\r\n${trace}`, {
      policy: { tokenHeader: 'Authorization', forwardedHeaders: true },
      exchange: { token, trustedPeer: true },
    })
    for (const name of names) expect(request.headers).toHaveProperty(name)
  })
})

test("the caller's Authorization passes on other routes, unless told otherwise", async () => {
  const line = 'authorization: Bearer of-the-caller'
  expect((await seen(line)).headers.authorization).toBe('Bearer of-the-caller')
  expect((await seen(line, { policy: { forwardAuthorization: false } })).headers).not.toHaveProperty('authorization')
})

test('trace headers pass on other routes', async () => {
  expect((await seen('traceparent: 00-a\r\nx-request-id: b')).headers).toMatchObject({
    traceparent: '00-a',
    'x-request-id': 'b',
  })
})

test('the Host is the upstream’s own, or the caller’s where it is to be preserved', async () => {
  const upstream = await keep(startUpstream())
  const own = await proxyTo(upstream.url)
  const preserving = await proxyTo({ url: upstream.url, host: 'preserve' })
  for (const proxy of [own, preserving]) await ask(proxy.port, 'GET / HTTP/1.1\r\nhost: api.example.com\r\n\r\n')
  expect(upstream.requests.map((request) => request.headers.host)).toEqual([
    `127.0.0.1:${upstream.port}`,
    'api.example.com',
  ])
})

test('Via keeps those who were before, and everything else passes untouched, repeated headers included', async () => {
  const request = await seen(
    'via: 1.0 fred, 1.1 other (x, y)\r\nx-a: 1\r\nX-A: 2\r\ncookie: a=1\r\ncookie: b=2\r\nx-high: \xe9\r\n__proto__: x\r\nte: trailers\r\nkeep-alive: 5',
  )
  expect(request.headers.via).toBe('1.0 fred, 1.1 other (x, y), 1.1 scopegate-test')
  expect(headerValues(request, 'x-a')).toEqual(['1', '2'])
  expect(request.headers.cookie).toBe('a=1; b=2')
  expect(request.headers['x-high']).toBe('\xe9')
  for (const name of ['te', 'keep-alive']) expect(request.headers).not.toHaveProperty(name)
  expect(request.rawHeaders).not.toContain('__proto__')
})

test('no spelling that folds to an identity header, or to one of the hop, gets through', () => {
  const reserved = [
    'x-client-id',
    'x-original-url',
    'proxy-authorization',
    'transfer-encoding',
    'content-length',
    'x-forwarded-for',
  ]
  const policy = compileHeaderPolicy({
    reservedHeaders: ['X-Client-Id'],
    identityHeaders: {},
    viaName: 'me',
    forwardedHeaders: false,
  })
  const separator = fc.constantFrom(...'-_.~!#$%&*+^`|')
  const spelling = fc
    .tuple(fc.constantFrom(...reserved), fc.array(separator, { minLength: 3, maxLength: 3 }), fc.boolean())
    .map(([name, separators, upper]) => {
      const spelt = name.split('-').reduce((before, part, index) => `${before}${separators[index]}${part}`)
      return upper ? spelt.toUpperCase() : spelt
    })
  fc.assert(
    fc.property(fc.array(spelling), (names) => {
      const rawHeaders = names.flatMap((name) => [name, 'forged'])
      const headers = buildRequestHeaders(policy, {
        rawHeaders,
        httpVersion: '1.1',
        peerAddress: '',
        trustedPeer: false,
        encrypted: false,
        host: 'x',
      })
      expect(Object.keys(headers)).toEqual(['host', 'via'])
    }),
    { numRuns: 1000 },
  )
})

test('a request to become a WebSocket does not slip past the gateway once the proxy has been used', async () => {
  const upstream = await keep(startUpstream())
  const proxy = await proxyTo(upstream.url)
  for (const more of ['', 'connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n'])
    await ask(proxy.port, `GET / HTTP/1.1\r\nhost: x\r\n${more}\r\n`)
  expect(upstream.requests).toHaveLength(2)
  expect(upstream.requests[1]?.headers).not.toHaveProperty('upgrade')
})
