import { once } from 'node:events'
import { createServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { askTls, callerX509, connectTls, listenerEnv, listenerTls } from '../harness/caller-certificates.ts'
import { createTestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { listen } from '../harness/listen.ts'
import { ask } from '../harness/raw-client.ts'
import { startRawUpstream, startUpstream, type Upstream } from '../harness/upstream.ts'
import { socketAnswer, socketRequest } from '../harness/web-socket.ts'

/*
 * A route is open to the holder of one client certificate: the one of `billing`. An attacker wants to be taken for it. It may
 * have a certificate of the same names from an authority of its own, even one that calls itself as ours does; billing's own
 * of last year; that of a server; or a good one of our authority, for a name that it chose so that careless software reads
 * billing's name out of it. Or it has none, and tells of one in a header, as a proxy in front would do; or comes from the
 * address of such a proxy; or goes on with a session in which somebody else has shown a certificate.
 */

let sso: AuthorizationServer
let upstream: Upstream
let gateway: RunningGateway
let required: number
let plain: number
let before = 0

const names =
  'subjects: ["CN=billing,O=Example"], dns_names: [billing.example.test], uris: ["spiffe://example.test/billing"]'

beforeAll(async () => {
  sso = await startAuthorizationServer()
  upstream = await startUpstream()
  const to = `upstream: "${upstream.url}"`
  gateway = await startGateway(
    `
listeners:
  main: { address: "127.0.0.1:8443", trusted_proxies: [loopback], tls: ${listenerTls('optional')} }
  required: { address: "127.0.0.1:8444", tls: ${listenerTls('required')} }
  plain: { address: "127.0.0.1:8445", trusted_proxies: [127.0.0.2] }
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: any } }
clients:
  legacy: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
routes:
  - { listener: main, path: /billing, callers: { certificates: { ${names} } }, ${to} }
  - { listener: main, path: /token, callers: { certificates: { ${names} } }, token: { client: legacy }, ${to} }
  - { listener: main, path: /inside, callers: { networks: [10.0.0.0/8], certificates: { ${names} } }, ${to} }
  - { listener: main, path: /both, require: any_token, callers: { certificates: { ${names} } }, ${to} }
  - { listener: main, path: /open, public: true, ${to} }
  - { listener: required, path: /open, public: true, ${to} }
  - { listener: plain, path: /near, callers: { networks: [10.1.0.0/16] }, ${to} }
`,
    { env: { ...listenerEnv, SECRET: sso.client.client_secret } },
  )
  required = await gateway.open('required')
  plain = await gateway.open('plain')
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop(), sso.stop()]))
beforeEach(() => {
  before = upstream.requests.length
})

const get = (path: string, ...lines: string[]) =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`

const versions = ['TLSv1.2', 'TLSv1.3'] as const

describe.each(versions)('over %s', (version) => {
  const only = { minVersion: version, maxVersion: version }
  const asked = (path: string, as?: string) => askTls(gateway.port, get(path), { as, ...only })

  test('the holder is let in, and without a certificate one comes to what is open', async () => {
    expect((await asked('/billing', 'billing'))?.status).toBe(200)
    expect(gateway.lastLine()).toMatchObject({ code: 'ok', certificate: 'subject CN=billing,O=Example' })
    expect((await asked('/token', 'billing'))?.status).toBe(200)
    expect((await asked('/open'))?.status).toBe(200)
    expect(upstream.requests.length).toBe(before + 3)
  })

  test('without a certificate one is refused', async () => {
    expect((await asked('/billing'))?.status).toBe(403)
    expect((await asked('/token'))?.status).toBe(403)
    expect(gateway.lastLine()).toMatchObject({ reason: expect.stringContaining('no client certificate') })
    expect(upstream.requests.length).toBe(before)
  })

  // Not even where nobody is asked for one: what is shown and cannot be believed is no nothing.
  test.each([
    ['foreign', /UNABLE_TO_|CERT_SIGNATURE_FAILURE/],
    ['expired', /CERT_HAS_EXPIRED/],
    ['self-signed', /DEPTH_ZERO_SELF_SIGNED_CERT/],
    ['of-a-server', /INVALID_PURPOSE/],
  ])('a certificate that cannot be believed ends the connection: %s', async (as, reason) => {
    for (const path of ['/billing', '/token', '/open']) expect(await asked(path, as)).toBeUndefined()
    expect(await askTls(required, get('/open'), { as, ...only })).toBeUndefined()
    expect(upstream.requests.length).toBe(before)
    expect(gateway.log.find({ msg: 'refused', code: 'handshake_failed' }).slice(-4)).toEqual(
      Array.from({ length: 4 }, () => expect.objectContaining({ reason: expect.stringMatching(reason) })),
    )
  })

  test('none ends the connection where one is required', async () => {
    expect(await askTls(required, get('/open'), only)).toBeUndefined()
    expect(upstream.requests.length).toBe(before)
    expect((await askTls(required, get('/open'), { as: 'reports', ...only }))?.status).toBe(200)
  })

  test('a session in which somebody has shown one cannot be gone on with', async () => {
    for (const port of [gateway.port, required]) {
      const path = port === required ? '/open' : '/billing'
      const session = await sessionOf(
        connectTls(port, { as: 'billing', ...only }),
        get(port === required ? path : '/open'),
      )
      before = upstream.requests.length
      expect((await askTls(port, get(path), { ...only, ...(session && { session }) }))?.status).toBe(
        port === required ? undefined : 403,
      )
      expect(upstream.requests.length).toBe(before)
    }
  })
})

/** The last session that the other end offers, by the end of one answer. */
function sessionOf(socket: TLSSocket, bytes: string): Promise<Buffer | undefined> {
  return new Promise((resolve, reject) => {
    let session: Buffer | undefined
    socket.on('session', (offered: Buffer) => {
      session = offered
    })
    socket.on('error', reject)
    socket.on('data', (piece: Buffer) => {
      if (!piece.toString('latin1').includes('HTTP/1.1 200')) return
      socket.destroy()
      resolve(session ?? socket.getSession())
    })
    socket.write(bytes)
  })
}

describe('a good certificate of another', () => {
  test.each([
    'reports',
    'name-in-subject',
    'uri-in-subject',
    'wildcard',
    'subdomain',
    'other-kinds',
    'comma-in-name',
    'quote-in-name',
    'nul-in-name',
    'newline-in-name',
    'newline-in-subject',
    'comma-in-subject',
    'comma-behind-subject',
    'plus-in-subject',
    'backslash-in-subject',
    'parts-as-one',
    'parts-reversed',
    'longer-subject',
    'shorter-subject',
    'other-case',
    'blank-behind',
  ])('is no certificate of billing: %s', async (as) => {
    expect((await askTls(gateway.port, get('/billing'), { as }))?.status).toBe(403)
    expect(gateway.lastLine()).toMatchObject({
      code: 'caller_not_allowed',
      reason: expect.stringContaining('none of those listed'),
    })
    expect(upstream.requests.length).toBe(before)
  })
})

describe('words instead of a certificate', () => {
  const words = [
    'X-Client-Cert: -----BEGIN CERTIFICATE-----',
    'X-Forwarded-Client-Cert: Subject="CN=billing,O=Example";URI=spiffe://example.test/billing',
    'Client-Cert: :MIIB:',
    'X-SSL-Client-Verify: SUCCESS',
    'SSL-Client-S-DN: CN=billing,O=Example',
  ]

  test('in headers are not believed, not even of a trusted proxy', async () => {
    expect((await askTls(gateway.port, get('/billing', ...words)))?.status).toBe(403)
    expect((await askTls(gateway.port, get('/billing', ...words), { as: 'reports' }))?.status).toBe(403)
    expect(upstream.requests.length).toBe(before)
  })

  test('a certificate does not stand for the network, nor the network for it, nor both for a token', async () => {
    const inside = 'X-Forwarded-For: 10.0.0.1'
    expect((await askTls(gateway.port, get('/inside'), { as: 'billing' }))?.status).toBe(403)
    expect((await askTls(gateway.port, get('/inside', inside)))?.status).toBe(403)
    expect((await askTls(gateway.port, get('/inside', inside), { as: 'reports' }))?.status).toBe(403)
    expect((await askTls(gateway.port, get('/both'), { as: 'billing' }))?.status).toBe(401)
    const bearer = `Authorization: Bearer ${await sso.issueToken()}`
    expect((await askTls(gateway.port, get('/both', bearer)))?.status).toBe(403)
    expect(upstream.requests.length).toBe(before)
    expect((await askTls(gateway.port, get('/inside', inside), { as: 'billing' }))?.status).toBe(200)
    expect((await askTls(gateway.port, get('/both', bearer), { as: 'billing' }))?.status).toBe(200)
  })
})

test('a server of somebody’s own that lets any certificate pass lets none of them in', async () => {
  const listener = gateway.gateway.listener('main')
  const lax = createServer({ ...listener.serverOptions, rejectUnauthorized: false }, listener.handler)
  const { port, stop } = await listen(lax)
  for (const as of ['foreign', 'self-signed', 'expired', 'of-a-server', undefined]) {
    expect((await askTls(port, get('/billing'), { as }))?.status).toBe(403)
  }
  expect(upstream.requests.length).toBe(before)
  expect((await askTls(port, get('/billing'), { as: 'billing' }))?.status).toBe(200)
  await stop()
})

/** Of the certificate that let a caller in, whatever the token beside it says. */
test('a WebSocket does not outlive the certificate that opened it', async () => {
  const expiry = callerX509('billing').validToDate.getTime()
  const clock = createTestClock(expiry - 60_000)
  const other = await startRawUpstream((socket) => socket.write(socketAnswer()))
  const short = await startGateway(
    `
listeners: { main: { tls: ${listenerTls('optional')} } }
routes:
  - { path: /socket, callers: { certificates: { ${names} } }, upstream: "${other.url}" }
  - { path: /open, public: true, upstream: "${other.url}" }
`,
    { env: listenerEnv, clock },
  )
  const opened = await Promise.all(
    ['/socket', '/open'].map(async (path) => {
      const socket = connectTls(short.port, { as: 'billing' })
      socket.on('error', () => {})
      socket.write(socketRequest(path))
      expect(String((await once(socket, 'data'))[0])).toMatch(/ 101 /)
      return socket
    }),
  )
  await clock.advance(59_000)
  expect(opened.map(({ closed }) => closed)).toEqual([false, false])
  const ended = opened[0] && once(opened[0].resume(), 'close')
  await clock.advance(2000)
  await ended
  expect(opened[1]?.closed).toBe(false)
  for (const socket of opened) socket.destroy()
  await Promise.all([short.stop(), other.stop()])
})

/** The only proxy that is trusted; an attacker has the address next to it. */
const proxy = '127.0.0.2'

describe('an address in words', () => {
  test.each([
    ['X-Forwarded-For: 10.1.0.1'],
    ['Forwarded: for=10.1.0.1'],
    ['X-Forwarded-For: 10.1.0.1', 'Forwarded: for=10.1.0.1'],
    ['X-Real-IP: 10.1.0.1', 'X-Client-IP: 10.1.0.1', 'True-Client-IP: 10.1.0.1', 'CF-Connecting-IP: 10.1.0.1'],
  ])('is not believed of whoever is no trusted proxy: %s', async (...lines) => {
    expect((await ask(plain, get('/near', ...lines))).status).toBe(403)
    expect(gateway.lastLine()).toMatchObject({ address: '127.0.0.1' })
    expect(upstream.requests.length).toBe(before)
  })

  test.each([
    ['X-Forwarded-For: 10.1.0.1'],
    ['X-Forwarded-For: 192.0.2.9, 10.1.0.1:4711'],
    ['X-Forwarded-For: 192.0.2.9', 'X-Forwarded-For: 10.1.0.1'],
    ['X-Forwarded-For: ::ffff:10.1.0.1'],
    ['X-Forwarded-For: [::ffff:10.1.0.1]:4711'],
    ['Forwarded: for="10.1.0.1:4711";proto=https'],
    ['Forwarded: for=192.0.2.9, for=10.1.0.1'],
    ['X-Forwarded-For: 10.1.0.1', 'Forwarded: for=10.1.0.1'],
  ])('is believed of the trusted proxy, as far as it wrote it: %s', async (...lines) => {
    expect((await ask(plain, get('/near', ...lines), { from: proxy })).status).toBe(200)
    expect(gateway.lastLine()).toMatchObject({ address: '10.1.0.1' })
  })

  test.each([
    ['X-Forwarded-For: 10.1.0.1, 192.0.2.9'],
    ['X-Forwarded-For: 10.1.0.1', 'X-Forwarded-For: 192.0.2.9'],
    ['X-Forwarded-For: 10.1.0.1, ::ffff:192.0.2.9'],
    ['X-Forwarded-For: 10.1.0.1, unknown'],
    ['X-Forwarded-For: 10.1.0.1, _hidden'],
    ['X-Forwarded-For: 10.1.0.1 192.0.2.9'],
    ['X-Forwarded-For: 10.1.0.1,'],
    ['X-Forwarded-For: '],
    ['X-Forwarded-For: 10.1.1'],
    ['X-Forwarded-For: 010.001.000.001'],
    ['X-Forwarded-For: 10.1.0.1/8'],
    ['X-Forwarded-For: 192.0.2.9', 'Forwarded: for=10.1.0.1'],
    ['X-Forwarded-For: 10.1.0.1', 'Forwarded: for=192.0.2.9'],
    ['X-Forwarded-For: 10.1.0.1', 'Forwarded: for="'],
    ['Forwarded: for=10.1.0.1, for=192.0.2.9'],
    ['Forwarded: for=10.1.0.1;for=192.0.2.9'],
    ['Forwarded: for="10.1.0.1, for=192.0.2.9'],
    ['Forwarded: proto=https'],
    ['X-Real-IP: 10.1.0.1'],
  ])('of the trusted proxy does not hide where the caller is: %s', async (...lines) => {
    expect((await ask(plain, get('/near', ...lines), { from: proxy })).status).toBe(403)
    expect(upstream.requests.length).toBe(before)
  })
})
