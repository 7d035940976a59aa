import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let sso: AuthorizationServer
let upstream: Upstream
let gateway: RunningGateway
let small: number
let token: string

beforeAll(async () => {
  sso = await startAuthorizationServer()
  upstream = await startUpstream()
  token = await sso.issueToken()
  const to = `listener: main, upstream: "${upstream.url}"`
  const swap = 'require: any_token, token: { client: ours }'
  gateway = await startGateway(
    `
listeners:
  main: { address: "127.0.0.1:0" }
  small: { address: "127.0.0.1:0", limits: { body_size: 1KiB } }
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } }
clients:
  ours: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
identity_headers: { X-Client: client_id, X-Who: client_id }
routes:
  - { path: /public, public: true, ${to} }
  - { path: /untold, public: true, forwarded_headers: false, ${to} }
  - { path: /told, require: any_token, ${to} }
  - { path: /more, require: any_token, identity_headers: { X-Audience: aud, X-Who: iss }, ${to} }
  - { path: /secret, require: any_token, forwarded_headers: false, ${to} }
  - { path: /kept, require: any_token, forward_authorization: false, ${to} }
  - { path: /swap, ${swap}, ${to} }
  - { path: /swap-told, ${swap}, forwarded_headers: true, ${to} }
  - { path: /host, public: true, listener: main, upstream: { url: "${upstream.url}", host: preserve } }
  - { path: /body, public: true, ${to} }
  - { path: /body, public: true, listener: small, upstream: "${upstream.url}" }
`,
    { env: { SECRET: sso.client.client_secret } },
  )
  small = await gateway.open('small')
})
afterAll(() => Promise.all([gateway.stop(), sso.stop(), upstream.stop()]))

/** The headers that arrive when a caller with a token asks for the path. */
async function arriving(path: string, more: Readonly<Record<string, string>> = {}) {
  const lines = Object.entries({ Host: 'asked.example', Authorization: `Bearer ${token}`, ...more })
  const head = lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  expect((await ask(gateway.port, `GET ${path} HTTP/1.1\r\n${head}\r\n`)).status).toBe(200)
  return upstream.requests.at(-1)?.headers ?? expect.unreachable('nothing reached the upstream')
}

describe('identity headers', () => {
  it('of the whole configuration are set on a route that requires a token', async () => {
    expect(await arriving('/told')).toMatchObject({ 'x-client': 'default-client', 'x-who': 'default-client' })
  })

  it('of a route are added to them, and win', async () => {
    expect(await arriving('/more')).toMatchObject({
      'x-client': 'default-client',
      'x-audience': 'https://api.example.test',
      'x-who': sso.issuer,
    })
  })

  it('are set by nobody but the gateway, on any route and of any route', async () => {
    const made = { 'X-Client': 'admin', 'X-Audience': 'everybody', X_Who: 'admin' }
    for (const path of ['/public', '/secret', '/swap']) {
      const headers = await arriving(path, made)
      for (const name of ['x-client', 'x-audience', 'x-who', 'x_who']) expect(headers).not.toHaveProperty(name)
    }
    expect(await arriving('/told', made)).not.toHaveProperty('x-audience')
  })

  it('do not go to the API of somebody else, unless the route says so', async () => {
    expect(await arriving('/swap')).not.toHaveProperty('x-client')
    expect(await arriving('/swap-told')).toMatchObject({ 'x-client': 'default-client' })
  })

  it('do not go out where the route tells nothing of its callers', async () => {
    expect(await arriving('/secret')).not.toHaveProperty('x-client')
  })
})

describe('forwarded_headers', () => {
  it('are told by default, and not where the route says no', async () => {
    const expected = {
      'x-forwarded-for': '127.0.0.1',
      'x-forwarded-proto': 'http',
      'x-forwarded-host': 'asked.example',
    }
    expect(await arriving('/public')).toMatchObject(expected)
    const headers = await arriving('/untold')
    for (const name of Object.keys(expected)) expect(headers).not.toHaveProperty(name)
  })

  it('are not told to the API of a token route, unless the route says so', async () => {
    expect(await arriving('/swap')).not.toHaveProperty('x-forwarded-for')
    expect(await arriving('/swap-told')).toMatchObject({ 'x-forwarded-for': '127.0.0.1' })
  })
})

describe('the Authorization of a caller', () => {
  it('passes by default, and not where forward_authorization is false', async () => {
    expect((await arriving('/told')).authorization).toBe(`Bearer ${token}`)
    expect(await arriving('/kept')).not.toHaveProperty('authorization')
  })

  it('never goes to the API of a token route', async () => {
    const { authorization } = await arriving('/swap-told')
    expect(authorization).toMatch(/^Bearer ey/)
    expect(authorization).not.toBe(`Bearer ${token}`)
  })
})

it('the upstream gets its own Host, and the caller’s with host: preserve', async () => {
  expect((await arriving('/public')).host).toBe(new URL(upstream.url).host)
  expect((await arriving('/host')).host).toBe('asked.example')
})

describe('body_size', () => {
  const withLength = (size: number) =>
    `POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n${'b'.repeat(size)}`
  const chunked = (size: number) =>
    `POST /body HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n${size.toString(16)}\r\n${'b'.repeat(size)}\r\n0\r\n\r\n`

  it.each([
    ['with a length', withLength],
    ['in chunks', chunked],
  ])('is the most that a body has, %s', async (_how, bytes) => {
    expect((await ask(small, bytes(1024))).status).toBe(200)
    const answer = await ask(small, bytes(1025))
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([413, 'body_too_large'])
    expect(upstream.requests.at(-1)?.body().length).not.toBe(1025)
  })

  it.each([
    ['with a length', withLength],
    ['in chunks', chunked],
  ])('is no limit of listeners that say nothing of it, %s', async (_how, bytes) => {
    expect((await ask(gateway.port, bytes(200_000))).status).toBe(200)
    expect(upstream.requests.at(-1)?.body().length).toBe(200_000)
  })
})
