import { createServer } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { testAuthority } from '../harness/certificates.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { listen } from '../harness/listen.ts'
import { ask } from '../harness/raw-client.ts'
import { type SecuredApi, startSecuredApi } from '../harness/secured-api.ts'
import { headerValues } from '../harness/seen-request.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let sso: AuthorizationServer
let api: SecuredApi
let intranet: Upstream
let gateway: RunningGateway

beforeAll(async () => {
  sso = await startAuthorizationServer()
  api = await startSecuredApi()
  intranet = await startUpstream()
  const partner = `url: "${api.url}", tls: { ca: "\${env:CA}" }`
  const near = 'callers: { networks: [loopback] }, token: { client: legacy }'
  gateway = await startGateway(
    `
listeners:
  legacy:
    address: 127.0.0.1:8081
    public_url: https://gateway.example
    forward_proxy: { pass_through: ["localhost:${intranet.port}"] }
  plain: { address: 127.0.0.1:8082 }
authorization_servers: { sso: { issuer: "${sso.issuer}" } }
clients:
  legacy: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
identity_headers: { X-Client-Id: client_id }
routes:
  - { listener: legacy, host: api.partner.example, path: /**, ${near}, upstream: { ${partner} } }
  - { listener: legacy, host: "*.shop.example", path: /v1/**, ${near}, upstream: { ${partner}, add_prefix: /shop } }
  - { listener: legacy, host: kept.example, path: /**, public: true, upstream: { url: "${intranet.url}", host: preserve } }
  - { listener: legacy, path: /by-base-url/**, ${near}, upstream: { ${partner} } }
  - { listener: plain, host: api.partner.example, path: /**, ${near}, upstream: { ${partner} } }
`,
    { env: { SECRET: sso.client.client_secret, CA: testAuthority } },
  )
})
afterAll(() => Promise.all([gateway.stop(), intranet.stop(), api.stop(), sso.stop()]))

const lines = (given: readonly string[]) => given.map((line) => `${line}\r\n`).join('')
const request = (target: string, ...more: readonly string[]) =>
  `GET ${target} HTTP/1.1\r\nHost: ${new URL(target).host}\r\n${lines(more)}\r\n`
const last = (server: { requests: Upstream['requests'] }) =>
  server.requests.at(-1) ?? expect.unreachable('nothing came')

describe('a service with http_proxy set', () => {
  it('reaches the API of a route over https and with a token, by the http URL', async () => {
    const answer = await ask(gateway.port, request('http://api.partner.example/countries?a=%2F'))
    expect([answer.status, answer.body]).toEqual([200, 'hello, GET /countries?a=%2F'])
    expect(headerValues(last(api), 'authorization')).toEqual([expect.stringMatching(/^Bearer ./)])
    expect(headerValues(last(api), 'host')).toEqual([`localhost:${api.port}`])
    expect(gateway.lastLine()).toMatchObject({
      code: 'ok',
      route: 'legacy api.partner.example/**',
      host: 'api.partner.example',
      path: '/countries',
      client: 'legacy',
    })
  })

  it.each([
    ['http://API.Partner.Example/a', '/a'],
    ['HTTP://api.partner.example:80/a', '/a'],
    ['http://api.partner.example./a', '/a'],
    ['http://api.partner.example:8443/a', '/a'],
    ['http://api.partner.example:/a', '/a'],
    ['http://api.partner.example', '/'],
    ['http://api.partner.example?a=http://b/', '/?a=http://b/'],
    ['http://berlin.shop.example/v1/x', '/shop/v1/x'],
  ])('%s arrives as %s', async (target, path) => {
    expect((await ask(gateway.port, `GET ${target} HTTP/1.1\r\nHost: a\r\n\r\n`)).body).toBe(`hello, GET ${path}`)
  })

  it('sends a body, and asks for permission to', async () => {
    const bytes =
      'POST http://api.partner.example/orders HTTP/1.1\r\nHost: api.partner.example\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello'
    expect((await ask(gateway.port, bytes)).status).toBe(200)
    expect(last(api).body().toString()).toBe('hello')
  })

  it('reaches the same routes by their host, and the others by a base URL', async () => {
    const byHost = 'GET /countries HTTP/1.1\r\nHost: api.partner.example\r\n\r\n'
    expect((await ask(gateway.port, byHost)).body).toBe('hello, GET /countries')
    const byBaseUrl = 'GET /by-base-url/a HTTP/1.1\r\nHost: 127.0.0.1:8081\r\n\r\n'
    expect((await ask(gateway.port, byBaseUrl)).body).toBe('hello, GET /by-base-url/a')
  })

  it('is led back to the URL that it used, and not to the one behind it', async () => {
    for (const origin of ['http://api.partner.example', 'http://API.partner.example:80']) {
      const answer = await ask(gateway.port, request(`${origin}/moved`).replace(/Host: .*/, 'Host: other.example'))
      expect([answer.status, answer.headers.location]).toEqual([302, `${origin}/hello?again`])
    }
  })

  it('may talk to the proxy itself in headers that go no further', async () => {
    const own = ['Proxy-Connection: keep-alive, X-Mine', 'Proxy-Authorization: Basic YTpi', 'X-Mine: 1', 'X-Theirs: 2']
    await ask(gateway.port, request('http://api.partner.example/a', ...own))
    await ask(gateway.port, request(`http://localhost:${intranet.port}/a`, ...own))
    for (const server of [api, intranet]) {
      expect(last(server).rawHeaders.join()).not.toMatch(/proxy|x-mine|YTpi/i)
      expect(headerValues(last(server), 'x-theirs')).toEqual(['2'])
    }
  })

  it('gives a route that preserves Host the host of the URL', async () => {
    await ask(gateway.port, 'GET http://kept.example:81/a HTTP/1.1\r\nHost: other.example\r\n\r\n')
    expect(headerValues(last(intranet), 'host')).toEqual(['kept.example:81'])
    expect(headerValues(last(intranet), 'x-forwarded-host')).toEqual(['kept.example:81'])
  })

  it('is told what to do where it asks for a tunnel, or for an https URL', async () => {
    for (const line of ['CONNECT api.partner.example:443', 'GET https://api.partner.example/a']) {
      const answer = await ask(gateway.port, `${line} HTTP/1.1\r\nHost: api.partner.example\r\n\r\n`)
      expect([answer.status, JSON.parse(answer.body)]).toEqual([
        501,
        expect.objectContaining({ code: 'https_not_proxied', detail: expect.stringContaining('http://') }),
      ])
    }
  })
})

describe('a host that is passed through', () => {
  it('gets the request as it is, over http and without a token', async () => {
    const given = ['Authorization: Basic YTpi', 'Cookie: a=b', 'X-Client-Id: forged', 'X-Forwarded-For: 192.0.2.1']
    const answer = await ask(gateway.port, request(`http://localhost:${intranet.port}/a//b?c`, ...given))
    expect(answer.status).toBe(200)
    const seen = last(intranet)
    expect([seen.url, seen.headers.host]).toEqual(['/a//b?c', `localhost:${intranet.port}`])
    expect([headerValues(seen, 'authorization'), headerValues(seen, 'cookie')]).toEqual([['Basic YTpi'], ['a=b']])
    expect([headerValues(seen, 'x-client-id'), headerValues(seen, 'x-forwarded-for')]).toEqual([[], []])
    expect(gateway.lastLine()).toMatchObject({ route: `pass_through localhost:${intranet.port}`, host: 'localhost' })
  })

  it('keeps the URLs in its answers', async () => {
    const location = `http://localhost:${intranet.port}/b`
    intranet.answer((_, response) => response.writeHead(302, { location }).end())
    const answer = await ask(gateway.port, request(`http://LOCALHOST:${intranet.port}/a`))
    expect(answer.headers.location).toBe(location)
  })

  it('gets the host that the configuration names, in its spelling', async () => {
    await ask(gateway.port, request(`http://LOCALHOST.:${intranet.port}/a`).replace(/Host: .*/, 'Host: LOCALHOST.'))
    expect(headerValues(last(intranet), 'host')).toEqual([`localhost:${intranet.port}`])
  })
})

it('in an application, a whole URL that no route owns is refused, and never taken for one of its own paths', async () => {
  const passedOn: unknown[] = []
  const { serverOptions, middleware } = gateway.gateway
  const server = createServer(serverOptions, (incoming, response) =>
    middleware(incoming, response, () => {
      passedOn.push(incoming.url)
      response.end('of the application')
    }),
  )
  const { port, stop } = await listen(server)
  expect((await ask(port, request('http://other.example/login'))).status).toBe(404)
  expect((await ask(port, request('http://api.partner.example/a'))).body).toBe('hello, GET /a')
  expect((await ask(port, 'GET /login HTTP/1.1\r\nHost: a\r\n\r\n')).body).toBe('of the application')
  expect(passedOn).toEqual(['/login'])
  await stop()
})

it('a listener that is no forward proxy refuses whole URLs, as it always did', async () => {
  const port = await gateway.open('plain')
  const answer = await ask(port, request('http://api.partner.example/a'))
  expect([answer.status, JSON.parse(answer.body).code]).toEqual([400, 'invalid_target'])
  const tunnel = await ask(port, 'CONNECT api.partner.example:443 HTTP/1.1\r\nHost: a\r\n\r\n')
  expect([tunnel.status, JSON.parse(tunnel.body).code]).toEqual([400, 'invalid_target'])
})
