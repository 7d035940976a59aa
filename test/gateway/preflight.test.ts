import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask, type RawAnswer } from '../harness/raw-client.ts'
import { headerValues } from '../harness/seen-request.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

/*
 * Before a page of another origin may send `Authorization`, its browser asks the server with OPTIONS, and never with a
 * credential. With `preflight: forward` that question goes on without one. The attack is whatever else somebody gets through
 * by making it look like that question.
 */

let sso: AuthorizationServer
let upstream: Upstream
let gateway: RunningGateway
let before = 0

beforeAll(async () => {
  sso = await startAuthorizationServer()
  upstream = await startUpstream((request, response) => {
    request.resume()
    response.writeHead(204, { 'access-control-allow-origin': 'https://app.example' }).end()
  })
  const rest = `upstream: "${upstream.url}"`
  const near = 'callers: { networks: [loopback] }, token: { client: legacy }'
  gateway = await startGateway(
    `
listeners:
  main: { address: "127.0.0.1:8081" }
  elsewhere: { address: "127.0.0.1:8082", trusted_proxies: [127.0.0.1] }
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: any } }
clients:
  legacy: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
identity_headers: { X-Client-Id: client_id }
routes:
  - { listener: main, path: /orders/**, methods: [GET, PUT], require: { scopes: [customer.read] }, preflight: forward, ${rest} }
  - { listener: main, path: /orders/**, methods: [DELETE], require: { scopes: [customer.write] }, ${rest} }
  - { listener: main, path: /closed/**, require: any_token, ${rest} }
  - { listener: main, path: /pages/**, ${near}, browsers: true, preflight: forward, ${rest} }
  - { listener: main, path: /swap/**, require: any_token, token: { client: legacy }, preflight: forward, forwarded_headers: true, ${rest} }
  - { listener: main, path: /swap/inner/**, require: any_token, token: { client: legacy }, ${rest} }
  - { listener: main, path: /listed/**, methods: [GET], require: any_token, preflight: forward, ${rest} }
  - { listener: main, path: /listed/**, methods: [OPTIONS], require: { scopes: [customer.write] }, ${rest} }
  - { listener: main, path: /listed/inner/**, methods: [GET], require: any_token, preflight: forward, ${rest} }
  - { listener: main, path: /listed/inner/**, methods: [OPTIONS], require: any_token, ${rest} }
  - { listener: elsewhere, path: /**, require: any_token, callers: { networks: [192.0.2.0/24] }, preflight: forward, ${rest} }
`,
    { env: { SECRET: sso.client.client_secret } },
  )
})
beforeEach(() => {
  before = upstream.requests.length
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop(), sso.stop()]))

const question = ['Origin: https://app.example', 'Access-Control-Request-Method: GET']

function options(path: string, lines: readonly string[] = question, { method = 'OPTIONS', port = gateway.port } = {}) {
  return ask(port, `${method} ${path} HTTP/1.1\r\nHost: localhost\r\n${lines.join('\r\n')}\r\n\r\n`)
}

function expectForwarded({ status }: RawAnswer) {
  expect([status, upstream.requests.length]).toEqual([204, before + 1])
  return upstream.requests.at(-1) ?? expect.unreachable('nothing came')
}

function expectRefused({ status, body }: RawAnswer, wanted: number): void {
  expect([status, upstream.requests.length]).toEqual([wanted, before])
  expect(body).toContain('"code"')
}

describe('what a browser asks before a page of another origin may', () => {
  it('goes on without a token, and so does the answer', async () => {
    const answer = await options('/orders/7', [...question, 'Access-Control-Request-Headers: authorization'])
    const seen = expectForwarded(answer)
    expect(answer.headers['access-control-allow-origin']).toBe('https://app.example')
    expect([seen.method, seen.url]).toEqual(['OPTIONS', '/orders/7'])
    expect(headerValues(seen, 'access-control-request-headers')).toEqual(['authorization'])
    expect(gateway.lastLine()).toMatchObject({ code: 'ok', preflight: true, route: '/orders/** GET,PUT' })
    expect(gateway.lastLine()).not.toHaveProperty('caller')
  })

  it('has no credential with it, whosever it would be', async () => {
    const token = await sso.issueToken({ scope: 'customer.read' })
    const given = [`Authorization: Bearer ${token}`, 'Cookie: session=1', 'X-Client-Id: forged', 'x_client_id: forged']
    for (const path of ['/orders/7', '/pages/7', '/swap/7']) {
      before = upstream.requests.length
      const seen = expectForwarded(await options(path, [...question, ...given]))
      expect(seen.rawHeaders.join()).not.toMatch(/bearer|session|forged/i)
    }
    expect(sso.requestsTo('token')).toHaveLength(1)
  })

  it('leaves the request itself to its token', async () => {
    expectRefused(await options('/orders/7', question, { method: 'GET' }), 401)
    expectRefused(await options('/orders/7', question, { method: 'PUT' }), 401)
    const token = await sso.issueToken({ scope: 'customer.read' })
    const seen = expectForwarded(
      await options('/orders/7', [...question, `Authorization: Bearer ${token}`], { method: 'GET' }),
    )
    expect(headerValues(seen, 'x-client-id')).toEqual(['default-client'])
  })
})

describe('where it goes no further', () => {
  it('is the method of a route that does not say so', async () => {
    expectRefused(
      await options('/orders/7', ['Origin: https://app.example', 'Access-Control-Request-Method: DELETE']),
      405,
    )
    expectRefused(
      await options('/orders/7', ['Origin: https://app.example', 'Access-Control-Request-Method: PATCH']),
      405,
    )
    expectRefused(await options('/closed/7'), 401)
    expectRefused(await options('/nowhere'), 404)
  })

  it('is a path of which another route lists OPTIONS, and asks for a token', async () => {
    expectRefused(await options('/listed/7'), 401)
    expect(gateway.lastLine()).toMatchObject({ route: '/listed/** OPTIONS' })
    expect(gateway.lastLine()).not.toHaveProperty('preflight')
    expectRefused(await options('/listed//inner/7'), 400)
  })

  it('is a caller from elsewhere', async () => {
    const port = await gateway.open('elsewhere')
    expectRefused(await options('/a', question, { port }), 403)
    expectForwarded(await options('/a', [...question, 'X-Forwarded-For: 192.0.2.7'], { port }))
  })

  it('is a page that came by way of a name of its own', async () => {
    expectForwarded(await options('/pages/7'))
    before++
    const rebound = `OPTIONS /pages/7 HTTP/1.1\r\nHost: evil.example\r\n${question.join('\r\n')}\r\n\r\n`
    expectRefused(await ask(gateway.port, rebound), 403)
  })
})

describe('what only looks like it', () => {
  it.each([
    ['has no Origin', ['Access-Control-Request-Method: GET']],
    ['has two', [...question, 'Origin: https://b.example']],
    ['asks for no method', ['Origin: https://app.example']],
    ['asks for two', [...question, 'Access-Control-Request-Method: GET']],
    ['asks for a method in other letters', ['Origin: https://app.example', 'Access-Control-Request-Method: get']],
    ['asks for several', ['Origin: https://app.example', 'Access-Control-Request-Method: GET, DELETE']],
    ['has a body', [...question, 'Content-Length: 3', '', 'abc']],
    ['has a body in pieces', [...question, 'Transfer-Encoding: chunked', '', '3\r\nabc\r\n0']],
  ])('%s', async (_, lines) => {
    expectRefused(await options('/orders/7', lines), 405)
  })

  it('another method in a header, which some servers obey', async () => {
    for (const name of ['X-HTTP-Method-Override', 'X-Method-Override', 'x_http_method'])
      expectRefused(await options('/orders/7', [...question, `${name}: DELETE`]), 405)
    expectRefused(await options('/swap/7', [...question, 'X-HTTP-Method-Override: DELETE']), 401)
  })

  it('a path that may be read as that of another route', async () => {
    for (const path of ['/swap//inner/7', '/swap/INNER/7', '/swap/inner;x/7', '/swap/x%2f..%2finner/7'])
      expectRefused(await options(path), 400)
    expectForwarded(await options('/swap/outer/7'))
  })
})
