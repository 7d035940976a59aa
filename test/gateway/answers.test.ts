import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { errorCodes } from '../../src/base/errors.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask, sendRaw } from '../harness/raw-client.ts'
import { createSecret } from '../harness/secrets.ts'
import { type RawUpstream, startRawUpstream, startUpstream, type Upstream } from '../harness/upstream.ts'

let sso: AuthorizationServer
let upstream: Upstream
let silent: RawUpstream
let nonsense: RawUpstream
let gateway: RunningGateway

beforeAll(async () => {
  sso = await startAuthorizationServer({ extraClaims: { realm_access: { roles: ['reader'] } } })
  upstream = await startUpstream()
  silent = await startRawUpstream(() => {})
  nonsense = await startRawUpstream('HTTP/1.1 000 What\r\n\r\n')
  const yaml = `
listeners:
  main:
    timeouts: { headers: 1s, body_idle: 200ms }
    limits: { header_size: 4KiB, headers: 30, target_length: 1KiB, body_size: 1KiB }
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } }
  other: { issuer: "http://127.0.0.1:1", access_tokens: { audience: any } }
clients:
  refused: { authorization_server: sso, client_id: default-client, client_secret: "\${env:WRONG}" }
  unreachable: { authorization_server: other, client_id: c, client_secret: "\${env:WRONG}" }
routes:
  - { path: /public, public: true, upstream: "${upstream.url}" }
  - { path: /read/**, methods: [GET], require: { scopes: [customer.read, country.read] }, upstream: "${upstream.url}" }
  - { path: /either, require: { any_scope: [customer.write, country.read] }, upstream: "${upstream.url}" }
  - { path: /role, require: { claims: { realm_access.roles: [archivist] } }, upstream: "${upstream.url}" }
  - { path: /any, require: any_token, upstream: "${upstream.url}" }
  - { path: /other, require: { scopes: [a], issuers: [other] }, upstream: "${upstream.url}" }
  - { path: /nobody, callers: { networks: [192.0.2.0/24] }, upstream: "${upstream.url}" }
  - { path: /refused, callers: { networks: [loopback] }, token: { client: refused }, upstream: "${upstream.url}" }
  - { path: /unreachable, callers: { networks: [loopback] }, token: { client: unreachable }, upstream: "${upstream.url}" }
  - { path: /dead, public: true, upstream: "http://127.0.0.1:1" }
  - { path: /silent, public: true, upstream: { url: "${silent.url}", timeouts: { response: 200ms } } }
  - { path: /nonsense, public: true, upstream: "${nonsense.url}" }
`
  gateway = await startGateway(yaml, { env: { WRONG: createSecret() } })
})

afterAll(() => Promise.all([gateway.stop(), sso.stop(), upstream.stop(), silent.stop(), nonsense.stop()]))

interface Expected {
  readonly status: number
  readonly code: string
  readonly challenge?: string
  readonly retryAfter?: true
  readonly allow?: string
}

function get(path: string, ...headers: string[]): string {
  return `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`
}

async function expectRefusal(bytes: string, expected: Expected): Promise<void> {
  const before = upstream.requests.length
  const answer = await ask(gateway.port, bytes)
  expect(JSON.parse(answer.body)).toEqual({
    title: answer.reason,
    status: expected.status,
    code: expected.code,
    detail: errorCodes[expected.code as keyof typeof errorCodes][1],
    ...(JSON.parse(answer.body).request_id && { request_id: expect.any(String) }),
  })
  expect(answer.status).toBe(expected.status)
  expect(answer.headers['content-type']).toBe('application/problem+json')
  expect(answer.headers['cache-control']).toBe('no-store')
  expect(answer.headers['www-authenticate']).toBe(expected.challenge)
  expect(answer.headers.allow).toBe(expected.allow)
  expect(answer.headers['retry-after'] !== undefined).toBe(expected.retryAfter === true)
  expect(upstream.requests.length).toBe(before)
  expect(JSON.stringify(answer)).not.toContain('127.0.0.1')
}

const invalidToken = `Bearer realm="scopegate", error="invalid_token", error_description="${errorCodes.invalid_token[1]}"`
const bare = 'Bearer realm="scopegate"'

/** Each row: what is sent, and how it is answered. None of these ever reaches an upstream. */
const refusals: Record<string, [bytes: string, expected: Expected]> = {
  'a dot segment': [get('/public/../read/1'), { status: 400, code: 'invalid_target' }],
  'a path with two readings': [get('/public/..;/read'), { status: 400, code: 'invalid_target' }],
  'a path that a lenient server reads as another route': [
    get('/read%2f..%2fpublic'),
    { status: 400, code: 'invalid_target' },
  ],
  'an absolute-form target': [get('http://api.example.test/public'), { status: 400, code: 'invalid_target' }],
  'OPTIONS *': ['OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', { status: 400, code: 'invalid_target' }],
  'an authority-form target': [
    'CONNECT api.example.test:443 HTTP/1.1\r\nHost: a\r\n\r\n',
    { status: 400, code: 'invalid_target' },
  ],
  'a length beside an encoding': [
    'POST /public HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    { status: 400, code: 'malformed_request' },
  ],
  'an encoding that is not chunked': [
    'POST /public HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    { status: 400, code: 'invalid_framing' },
  ],
  'two Host headers': ['GET /public HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n', { status: 400, code: 'duplicate_header' }],
  'two Authorization headers': [
    get('/any', 'Authorization: Bearer a', 'Authorization: Bearer b'),
    { status: 400, code: 'duplicate_header' },
  ],
  'no Host': ['GET /public HTTP/1.1\r\n\r\n', { status: 400, code: 'invalid_host' }],
  'no HTTP at all': ['GET /public\tHTCPCP/1.0\r\n\r\n', { status: 400, code: 'malformed_request' }],
  'a target that is too long': [get(`/public?${'a'.repeat(2000)}`), { status: 414, code: 'target_too_long' }],
  'headers that are too large': [
    get('/public', `X-Large: ${'a'.repeat(6000)}`),
    { status: 431, code: 'headers_too_large' },
  ],
  'too many headers': [
    get('/public', ...Array.from({ length: 31 }, (_, index) => `X-${index}: a`)),
    { status: 431, code: 'headers_too_large' },
  ],
  'an expectation that is none': [get('/public', 'Expect: tea'), { status: 417, code: 'expectation_failed' }],
  'a method that HTTP does not know': [
    'BREW /public HTTP/1.1\r\nHost: a\r\n\r\n',
    { status: 501, code: 'method_not_implemented' },
  ],
  'an upgrade that is not one to a WebSocket': [
    get('/public', 'Connection: Upgrade', 'Upgrade: websocket'),
    { status: 400, code: 'invalid_upgrade' },
  ],
  'a body that is too large': [
    'POST /public HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\n\r\n',
    { status: 413, code: 'body_too_large' },
  ],
  'no token': [get('/any'), { status: 401, code: 'token_required', challenge: bare }],
  'another scheme': [
    get('/any', 'Authorization: Basic YTpi'),
    { status: 401, code: 'token_required', challenge: bare },
  ],
  'a token in the query alone': [
    get('/any?access_token=abc'),
    { status: 401, code: 'token_required', challenge: bare },
  ],
  'a token in the header and one in the query': [
    get('/any?access_token=abc', 'Authorization: Bearer abc'),
    {
      status: 400,
      code: 'invalid_request',
      challenge: `Bearer realm="scopegate", error="invalid_request", error_description="${errorCodes.invalid_request[1]}"`,
    },
  ],
  'a malformed token': [
    get('/any', 'Authorization: Bearer abc'),
    { status: 401, code: 'invalid_token', challenge: invalidToken },
  ],
  'a caller from another network': [get('/nobody'), { status: 403, code: 'caller_not_allowed' }],
  'a path that no route owns': [get('/nowhere'), { status: 404, code: 'no_route' }],
  'a method that the path does not take': [
    'DELETE /read/1 HTTP/1.1\r\nHost: a\r\n\r\n',
    { status: 405, code: 'method_not_allowed', allow: 'GET, HEAD' },
  ],
  'an authorization server that refuses the client': [
    get('/refused'),
    { status: 502, code: 'authorization_server_refused' },
  ],
  'an authorization server that cannot be reached': [
    get('/unreachable'),
    { status: 503, code: 'authorization_server_unavailable', retryAfter: true },
  ],
  'an upstream that cannot be reached': [get('/dead'), { status: 502, code: 'upstream_unreachable' }],
  'an upstream that is silent': [get('/silent'), { status: 504, code: 'upstream_timeout' }],
  'an upstream that speaks no HTTP': [get('/nonsense'), { status: 502, code: 'upstream_invalid_response' }],
}

describe('what the gateway refuses, and how it says so', () => {
  for (const [what, [bytes, expected]] of Object.entries(refusals)) {
    it(`${what}: ${expected.status} ${expected.code}`, () => expectRefusal(bytes, expected))
  }

  it('headers that come too slowly: 408', async () => {
    const answer = await sendRaw(gateway.port, 'GET /public HTTP/1.1\r\nHost: a\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    expect(answer).toContain('"code":"request_timeout"')
  })

  it('a body that comes too slowly: 408, and what the upstream got is no whole request', async () => {
    const answer = await ask(gateway.port, 'POST /public HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc')
    expect([answer.status, answer.headers.connection, JSON.parse(answer.body).code]).toEqual([
      408,
      'close',
      'request_timeout',
    ])
    expect(upstream.requests.at(-1)?.complete()).toBe(false)
  })

  it('a request that has passed here before: 508', async () => {
    await ask(gateway.port, get('/public'))
    const via = upstream.requests.at(-1)?.headers.via ?? ''
    expect(via).toMatch(/^1\.1 scopegate-/)
    await expectRefusal(get('/public', `Via: 1.0 elsewhere, ${via}`), { status: 508, code: 'loop_detected' })
  })

  it('a token of a server that the route does not name: 401', async () => {
    await expectRefusal(get('/other', `Authorization: Bearer ${await sso.issueToken()}`), {
      status: 401,
      code: 'invalid_token',
      challenge: invalidToken,
    })
  })

  it('an expired token: 401', async () => {
    const token = await sso.signToken({ exp: Math.floor(Date.now() / 1000) - 60 })
    await expectRefusal(get('/any', `Authorization: Bearer ${token}`), {
      status: 401,
      code: 'invalid_token',
      challenge: invalidToken,
    })
  })

  it('a token for somebody else: 401', async () => {
    const token = await sso.signToken({ aud: 'https://elsewhere.example' })
    await expectRefusal(get('/any', `Authorization: Bearer ${token}`), {
      status: 401,
      code: 'invalid_token',
      challenge: invalidToken,
    })
  })

  it('too little scope: 403, with the scope that is needed', async () => {
    const token = await sso.issueToken({ scope: 'customer.read' })
    const challenge = `Bearer realm="scopegate", error="insufficient_scope", error_description="${errorCodes.insufficient_scope[1]}", scope="customer.read country.read"`
    await expectRefusal(get('/read/1', `Authorization: Bearer ${token}`), {
      status: 403,
      code: 'insufficient_scope',
      challenge,
    })
  })

  it('none of several scopes: 403, which names none of them', async () => {
    const token = await sso.issueToken({ scope: 'customer.read' })
    const challenge = `Bearer realm="scopegate", error="insufficient_scope", error_description="${errorCodes.insufficient_scope[1]}"`
    await expectRefusal(get('/either', `Authorization: Bearer ${token}`), {
      status: 403,
      code: 'insufficient_scope',
      challenge,
    })
  })

  it('a claim that does not hold: 403', async () => {
    await expectRefusal(get('/role', `Authorization: Bearer ${await sso.issueToken()}`), {
      status: 403,
      code: 'claim_required',
    })
  })

  it('no keys of the issuer to be had: 503, never 401', async () => {
    const other = await sso.signToken({ iss: 'http://127.0.0.1:1' })
    await expectRefusal(get('/any', `Authorization: Bearer ${other}`), {
      status: 503,
      code: 'keys_unavailable',
      retryAfter: true,
    })
  })

  it('a caller that went away: 499, in the log alone', async () => {
    await sendRaw(gateway.port, get('/silent'), { until: () => true, timeout: 100 }).catch(() => {})
    while (gateway.lastLine().code !== 'caller_gone') await sleep(10)
    expect(gateway.lastLine()).toMatchObject({ status: 499, code: 'caller_gone' })
  })
})

describe('what the gateway lets through', () => {
  it('a token with all of the scope, and the upstream learns who it is', async () => {
    const token = await sso.issueToken({ scope: 'customer.read country.read' })
    const answer = await ask(gateway.port, get('/read/1?full=1', `Authorization: Bearer ${token}`))
    expect(answer.status).toBe(200)
    expect(upstream.requests.at(-1)).toMatchObject({
      url: '/read/1?full=1',
      headers: { authorization: `Bearer ${token}` },
    })
    expect(gateway.lastLine()).toMatchObject({
      code: 'ok',
      status: 200,
      upstream_status: 200,
      route: '/read/** GET',
      caller: 'default-client',
      path: '/read/1',
    })
  })

  it('a token with one of several scopes', async () => {
    const token = await sso.issueToken({ scope: 'country.read' })
    expect((await ask(gateway.port, get('/either', `Authorization: bearer ${token}`))).status).toBe(200)
  })

  it('a HEAD where GET is taken', async () => {
    const token = await sso.issueToken({ scope: 'customer.read country.read' })
    const answer = await ask(
      gateway.port,
      `HEAD /read/1 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer ${token}\r\n\r\n`,
      { head: true },
    )
    expect(answer.status).toBe(200)
  })
})

it('once stopping, every new request is 503', async () => {
  const other = await startGateway(`routes: [{ path: /, public: true, upstream: "${upstream.url}" }]`)
  expect((await fetch(other.url)).status).toBe(200)
  other.gateway.stop()
  const answer = await ask(other.port, get('/'))
  expect([answer.status, answer.headers.connection, answer.headers['retry-after']]).toEqual([503, 'close', '1'])
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'stopping' })
  await other.stop()
})

it('beyond the connections that a listener takes, a connection is 503', async () => {
  const other = await startGateway(`
listeners: { main: { limits: { connections: 1 } } }
routes: [{ path: /silent, public: true, upstream: "${silent.url}" }]`)
  const first = sendRaw(other.port, get('/silent'), { timeout: 2000 }).catch(() => {})
  await sleep(50)
  const second = await ask(other.port, get('/silent'))
  expect([second.status, JSON.parse(second.body).code]).toEqual([503, 'too_many_connections'])
  await other.stop()
  await first
})
