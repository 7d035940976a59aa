import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { listenerEnv, listenerTls, sendTls } from '../harness/caller-certificates.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask, parseAnswer, type RawAnswer } from '../harness/raw-client.ts'
import { headerValues } from '../harness/seen-request.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

/*
 * A legacy service calls the gateway on its own machine, and because it comes from there the gateway adds its token. On the
 * same machine somebody reads the web. A page there may send requests to any address that the machine reaches:
 *
 *   fetch('http://127.0.0.1:8081/partner/transfer', { method: 'POST', mode: 'no-cors', body: '…' })
 *   <form action="http://localhost:8081/partner/transfer" method="post">
 *   new WebSocket('ws://127.0.0.1:8081/partner/feed')
 *
 * It comes from loopback, too, and would be sent on with the gateway's token. What is more, with DNS rebinding the page may
 * read the answers: it is loaded from http://attacker.example:8081, then that name is made to point to 127.0.0.1, and what it
 * asks for under its own name is of its own site to the browser. None of the headers below is the page's to leave out.
 */

let sso: AuthorizationServer
let upstream: Upstream
let gateway: RunningGateway
let named: number
let everywhere: number
let encrypted: number
let behind: number

beforeAll(async () => {
  sso = await startAuthorizationServer()
  upstream = await startUpstream()
  const rest = `token: { client: legacy }, upstream: "${upstream.url}"`
  const near = 'callers: { networks: [loopback] }'
  gateway = await startGateway(
    `
listeners:
  main: { address: "127.0.0.1:8081" }
  named: { address: "gateway.internal:8082" }
  everywhere: { address: "0.0.0.0:8083" }
  encrypted: { address: "127.0.0.1:8084", tls: ${listenerTls('optional')} }
  behind: { address: "127.0.0.1:8085", trusted_proxies: [127.0.0.1] }
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: any } }
clients:
  legacy: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
routes:
  - { listener: main, path: /partner/**, ${near}, ${rest} }
  - { listener: main, path: /pages/**, ${near}, browsers: true, ${rest} }
  - { listener: main, path: /hosts/**, ${near}, hosts: [gateway.example, "*.Cluster.LOCAL", 192.0.2.7, "2001:DB8::1"], ${rest} }
  - { listener: main, path: /own/**, host: own.example, ${near}, ${rest} }
  - { listener: main, path: /required/**, require: any_token, ${rest} }
  - { listener: main, path: /open/**, ${near}, upstream: "${upstream.url}" }
  - { listener: named, path: /partner/**, ${near}, ${rest} }
  - { listener: everywhere, path: /partner/**, ${near}, ${rest} }
  - { listener: encrypted, path: /partner/**, callers: { certificates: { subjects: ["CN=billing,O=Example"] } }, hosts: [gateway.example], ${rest} }
  - { listener: behind, path: /partner/**, callers: { networks: [192.0.2.0/24] }, ${rest} }
`,
    { env: { ...listenerEnv, SECRET: sso.client.client_secret } },
  )
  ;[named, everywhere, encrypted, behind] = (await Promise.all(
    ['named', 'everywhere', 'encrypted', 'behind'].map((name) => gateway.open(name)),
  )) as [number, number, number, number]
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop(), sso.stop()]))

let before = 0
beforeEach(() => {
  before = upstream.requests.length
})

interface Asking {
  readonly host?: string
  readonly lines?: readonly string[]
  readonly method?: string
  readonly port?: number
}

function request(path: string, { host = 'localhost', lines = [], method = 'GET' }: Asking): string {
  return `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`
}

const asked = (path: string, asking: Asking = {}) => ask(asking.port ?? gateway.port, request(path, asking))

function expectRefused(answer: RawAnswer | undefined): void {
  expect([answer?.status, answer && JSON.parse(answer.body).code]).toEqual([403, 'caller_not_allowed'])
  expect(answer?.headers['access-control-allow-origin']).toBeUndefined()
  expect(upstream.requests.length).toBe(before)
}

function expectPassed(answer: RawAnswer | undefined): void {
  expect(answer?.status).toBe(200)
  expect(upstream.requests.length).toBe(before + 1)
  const seen = upstream.requests.at(-1) ?? expect.unreachable('nothing was seen')
  expect(headerValues(seen, 'authorization')).toEqual([expect.stringMatching(/^Bearer ./)])
}

const signs: readonly (readonly string[])[] = [
  ['Origin: https://attacker.example'],
  ['Origin: null'],
  ['Origin: '],
  ['Origin: http://localhost'],
  ['Origin: http://127.0.0.1:8081'],
  ['ORIGIN: https://attacker.example'],
  ['Origin: https://attacker.example', 'Sec-Fetch-Site: none'],
  ['Connection: Origin, Sec-Fetch-Site', 'Origin: https://attacker.example'],
  ['Sec-Fetch-Site: cross-site', 'Sec-Fetch-Mode: no-cors', 'Sec-Fetch-Dest: image'],
  ['Sec-Fetch-Site: same-site'],
  ['Sec-Fetch-Site: same-origin'],
  ['Sec-Fetch-Site: '],
  ['Sec-Fetch-Site: none', 'Sec-Fetch-Site: cross-site'],
  ['sec-fetch-site: None'],
  ['Referer: https://attacker.example/page'],
  ['Referer: http://localhost.attacker.example/'],
  ['Referer: http://localhost@attacker.example/'],
  ['Referer: nothing'],
  ['Referer: '],
]

const mozilla = 'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

describe('a page on the same machine', () => {
  test.each(signs)('is refused by %s', async (...lines) => {
    expectRefused(await asked('/partner/a', { lines }))
    expect(gateway.lastLine()).toMatchObject({ code: 'caller_not_allowed', reason: expect.stringContaining('browser') })
  })

  test.each(['POST', 'PUT', 'DELETE', 'OPTIONS', 'HEAD'])('is refused whatever it asks: %s', async (method) => {
    const bytes = request('/partner/a', { method, lines: ['Origin: https://attacker.example', 'Content-Length: 0'] })
    expect((await ask(gateway.port, bytes, { head: method === 'HEAD' })).status).toBe(403)
    expect(upstream.requests.length).toBe(before)
  })

  test('gets no WebSocket', async () => {
    const lines = [
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      'Origin: https://attacker.example',
    ]
    expectRefused(await asked('/partner/a', { lines }))
  })

  test('is refused although its browser presents a client certificate by itself', async () => {
    const bytes = request('/partner/a', { lines: ['Origin: https://attacker.example'] })
    expectRefused(parseAnswer(await sendTls(encrypted, bytes, { as: 'billing' })))
    expectPassed(parseAnswer(await sendTls(encrypted, request('/partner/a', {}), { as: 'billing' })))
  })

  test('is let in where the route says so, under a name that is known', async () => {
    expectPassed(await asked('/pages/a', { lines: ['Origin: https://portal.example', 'Sec-Fetch-Site: cross-site'] }))
  })

  test('is let in where it must have a token itself, or gets none of the gateway’s', async () => {
    const origin = 'Origin: https://portal.example'
    const token = await sso.issueToken()
    expectPassed(await asked('/required/a', { host: 'any.example', lines: [origin, `Authorization: Bearer ${token}`] }))
    expect((await asked('/required/a', { lines: [origin] })).status).toBe(401)
    expect((await asked('/open/a', { host: 'any.example', lines: [origin] })).status).toBe(200)
  })
})

/*
 * Browsers send `Sec-Fetch-Site` over TLS and to loopback names alone, and no `Origin` with <img src="http://10.1.2.3:8081/…">.
 * A page that sends no `Referer` either looks like nobody, but for the name that every browser gives itself.
 */
describe('a page that asks in plain HTTP for what is not loopback', () => {
  const host = 'gateway.example'

  test.each(['gateway.example:8081', '192.0.2.7', '[2001:db8::1]'])(
    'is refused by its browser’s name: %s',
    async (name) => {
      expectRefused(await asked('/hosts/a', { host: name, lines: [mozilla] }))
      expectRefused(await asked('/hosts/a', { host: name, lines: ['User-Agent: mozilla/4.0'] }))
      expect(gateway.lastLine()).toMatchObject({ reason: expect.stringContaining('User-Agent') })
    },
  )

  test('is refused by where it is', async () => {
    expectRefused(await asked('/hosts/a', { host, lines: ['Referer: http://attacker.example/'] }))
    expectPassed(await asked('/hosts/a', { host, lines: ['Referer: http://Gateway.Example:8081/app'] }))
    before++
    expectPassed(await asked('/hosts/a', { host, lines: ['Referer: http://localhost.:9/'] }))
  })

  test('is told from whoever is no browser, or says that nobody’s page asks', async () => {
    expectPassed(await asked('/hosts/a', { host, lines: ['User-Agent: Java/1.6.0 (like Mozilla/5.0)'] }))
    before++
    expectPassed(await asked('/hosts/a', { host, lines: [mozilla, 'Sec-Fetch-Site: none'] }))
  })

  test('is let in where the route says so, and where browsers tell of pages', async () => {
    expectPassed(await asked('/pages/a', { lines: [mozilla, 'Referer: https://portal.example/'] }))
    before++
    expectPassed(await asked('/partner/a', { lines: [mozilla] }))
    before++
    expectPassed(await asked('/partner/a', { host: '127.0.0.1:8081', lines: [mozilla] }))
    before++
    const bytes = request('/partner/a', { host: 'gateway.example', lines: [mozilla] })
    expectPassed(parseAnswer(await sendTls(encrypted, bytes, { as: 'billing' })))
  })
})

describe('DNS rebinding', () => {
  test.each([
    'attacker.example',
    'attacker.example:8081',
    'localhost.attacker.example',
    '127.0.0.1.attacker.example',
    '127.0.0.1.nip.io',
    'localhostx',
    'notlocalhost',
    'local',
    '0.0.0.0',
    '[::]',
    '192.0.2.7',
    '10.0.0.1',
    'own.example',
    'gateway.example',
    'gateway.internal',
    'x.cluster.local',
    '2130706433',
    '127.1',
    '',
  ])('is refused by its Host: %s', async (host) => {
    expectRefused(await asked('/partner/a', { host }))
    expect(gateway.lastLine()).toMatchObject({ reason: expect.stringContaining('Host is') })
  })

  test.each([
    'xcluster.local',
    'cluster.local',
    'gateway.example.attacker.example',
    'x.gateway.example',
    '[2001:db8::2]',
  ])('is refused where it only resembles one of the hosts: %s', async (host) =>
    expectRefused(await asked('/hosts/a', { host })),
  )

  test('is refused also on a route that is open to pages', async () => {
    expectRefused(await asked('/pages/a', { host: 'attacker.example' }))
  })

  test('is not helped by headers that speak of another host', async () => {
    const lines = ['X-Forwarded-Host: localhost', 'Forwarded: host=localhost', 'X-Host: localhost']
    expectRefused(await asked('/partner/a', { host: 'attacker.example', lines }))
    const behindOne = { port: behind, lines: [...lines, 'X-Forwarded-For: 192.0.2.1'] }
    expectRefused(await asked('/partner/a', { host: 'attacker.example', ...behindOne }))
    expectPassed(
      await asked('/partner/a', { ...behindOne, lines: ['X-Forwarded-Host: a.example', 'X-Forwarded-For: 192.0.2.1'] }),
    )
  })

  test('is refused without any Host, as old clients ask', async () => {
    expectRefused(await ask(gateway.port, 'GET /partner/a HTTP/1.0\r\n\r\n'))
    expectPassed(await ask(gateway.port, 'GET /partner/a HTTP/1.0\r\nHost: localhost\r\n\r\n'))
  })
})

describe('a legacy service', () => {
  test.each([
    ['/partner/a', 'localhost'],
    ['/partner/a', 'LOCALHOST:9999'],
    ['/partner/a', 'localhost.'],
    ['/partner/a', 'app.localhost:8081'],
    ['/partner/a', '127.0.0.1:8081'],
    ['/partner/a', '127.9.9.9'],
    ['/partner/a', '[::1]:8081'],
    ['/partner/a', '[0:0:0:0:0:0:0:1]'],
    ['/hosts/a', 'Gateway.Example:80'],
    ['/hosts/a', 'a.b.cluster.local'],
    ['/hosts/a', '192.0.2.7:8081'],
    ['/hosts/a', '[2001:db8::1]'],
    ['/own/a', 'OWN.example:1'],
  ])('may ask for %s by %s', async (path, host) => expectPassed(await asked(path, { host })))

  test('may be a person who types the address', async () => {
    expectPassed(await asked('/partner/a', { lines: ['Sec-Fetch-Site: none', 'Sec-Fetch-Mode: navigate'] }))
  })

  test('may ask for a name that the listener itself is bound to', async () => {
    expectPassed(await asked('/partner/a', { port: named, host: 'Gateway.internal:8082' }))
    before++
    expectRefused(await asked('/partner/a', { port: named, host: 'gateway.example' }))
  })

  test('may not ask for the address that means every address', async () => {
    expectRefused(await asked('/partner/a', { port: everywhere, host: '0.0.0.0' }))
    expectPassed(await asked('/partner/a', { port: everywhere, host: '127.0.0.1' }))
  })
})
