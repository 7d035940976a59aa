import { createServer } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createLog } from '../../src/base/log.ts'
import { parseConfig } from '../../src/config/load.ts'
import { createGateway } from '../../src/gateway.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { listen } from '../harness/listen.ts'
import { createTestLog } from '../harness/logs.ts'
import { ask, parseAnswers, sendRaw } from '../harness/raw-client.ts'
import { freePort } from '../harness/redis.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

/*
 * A forward proxy goes where its callers tell it to. Somebody who can send it requests, be it through another service that
 * takes URLs from strangers (server-side request forgery), asks it for what the proxy reaches and they do not:
 *
 *   GET http://169.254.169.254/latest/meta-data/ HTTP/1.1        the credentials of the machine in a cloud
 *   GET http://127.0.0.1:9090/metrics HTTP/1.1                   what listens for this machine alone
 *   GET http://intranet.example:6379/ HTTP/1.1                   another port of a host that is passed through
 *   GET http://open.example@10.0.0.7/ HTTP/1.1                   a host that is made to look like another one
 *   GET http://2130706433/ HTTP/1.1                              an address in other words
 *
 * Or they name one host in the URL and another one in Host, for one of the two decides who may come in, and the other one
 * where the request goes on. So only hosts that the configuration names are served, in one spelling; where a request goes
 * on is never taken from what the caller wrote.
 */

let sso: AuthorizationServer
let open: Upstream
let guarded: Upstream
let metadata: Upstream
let gateway: RunningGateway
let total = 0

const arrived = () => [open, guarded, metadata].reduce((sum, { requests }) => sum + requests.length, 0)

beforeAll(async () => {
  sso = await startAuthorizationServer()
  ;[open, guarded, metadata] = await Promise.all([startUpstream(), startUpstream(), startUpstream()])
  gateway = await startGateway(
    `
listeners:
  main: { forward_proxy: { pass_through: ["localhost:${open.port}"] } }
authorization_servers: { sso: { issuer: "${sso.issuer}", access_tokens: { audience: any } } }
clients:
  legacy: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
routes:
  - { host: open.example, path: /**, public: true, upstream: "${open.url}" }
  - { host: "*.open.example", path: /**, public: true, upstream: "${open.url}" }
  - { host: guarded.example, path: /**, require: any_token, upstream: "${guarded.url}" }
  - { host: api.example, path: /**, callers: { networks: [loopback] }, token: { client: legacy }, upstream: "${guarded.url}" }
  - { path: /any-host/**, callers: { networks: [loopback] }, token: { client: legacy }, upstream: "${guarded.url}" }
  - { path: /**, public: true, upstream: "${open.url}" }
`,
    { env: { SECRET: sso.client.client_secret } },
  )
})
beforeEach(() => {
  total = arrived()
})
afterAll(() => Promise.all([gateway.stop(), open.stop(), guarded.stop(), metadata.stop(), sso.stop()]))

const get = (target: string, ...lines: readonly string[]) =>
  ask(gateway.port, `GET ${target} HTTP/1.1\r\n${[...lines, 'Connection: close'].join('\r\n')}\r\n\r\n`)

async function expectRefused(target: string, status: number, code: string, host = 'open.example'): Promise<void> {
  const answer = await get(target, `Host: ${host}`)
  expect([target, answer.status, JSON.parse(answer.body).code]).toEqual([target, status, code])
  expect(arrived()).toBe(total)
}

describe('hosts that nobody has named', () => {
  it.each([
    'http://169.254.169.254/latest/meta-data/',
    'http://127.0.0.1/',
    'http://127.1/',
    'http://2130706433/',
    'http://0x7f.0.0.1/',
    'http://0177.0.0.1/',
    'http://0/',
    'http://[::1]/',
    'http://[::ffff:127.0.0.1]/',
    'http://localhost/',
    'http://metadata.google.internal/',
    'http://example/',
    'http://open.example.evil.example/',
    'http://evilopen.example/',
    'http://anything.example/any-host/a',
    'http://localhost/any-host/a',
  ])('%s is no route, not even one for every host', async (target) => {
    await expectRefused(target, 404, 'no_route')
  })

  it('and so are other ports of a host that is passed through, with the real servers behind them', async () => {
    for (const port of [metadata.port, guarded.port, gateway.port, sso.issuer.split(':').at(-1)])
      await expectRefused(`http://localhost:${port}/`, 404, 'no_route')
    for (const host of ['127.0.0.1', '[::1]', '127.0.0.2', 'localhost.localdomain', 'a.localhost'])
      await expectRefused(`http://${host}:${open.port}/`, 404, 'no_route')
    expect((await get(`http://localhost:${open.port}/`, 'Host: a')).status).toBe(200)
  })
})

describe('a host in disguise is refused', () => {
  it.each([
    'http://open.example@10.0.0.7/',
    'http://user:password@open.example/',
    'http://@open.example/',
    'http://guarded.example%40open.example/',
    'http://open%2Eexample/',
    'http://open.example%00.evil.example/',
    'http://open.example%2F@evil.example/',
    'http://open.example\\@evil.example/',
    'http://open.example\\.evil.example/',
    'http://open.example:80@evil.example/',
    'http://open.example:80:81/',
    'http://open.example:0/',
    'http://open.example:65536/',
    'http://open.example:99999/',
    'http://open.example:+80/',
    'http://open.example:80a/',
    'http://open.example:%38%30/',
    'http://open.example,evil.example/',
    'http://open..example/',
    'http://.open.example/',
    'http://*.open.example/',
    'http://[open.example]/',
    'http://[::1/',
    'http://[::1%25eth0]/',
    'http://\u00ef\u00bd\u008fpen.example/', // a wide o, in UTF-8
    'http:///open.example/',
    'http:////open.example/',
    'http://',
    'http:/open.example/',
    'http:open.example/',
    'http//open.example/',
    'ttp://open.example/',
    'ftp://open.example/',
    'file:///etc/passwd',
    'gopher://localhost:6379/_FLUSHALL',
    'javascript:alert(1)',
    'open.example:80',
    'open.example/a',
    '*',
    'http://open.example/#@evil.example/',
    'http://open.example#/a',
    'http://open.example/a#b',
    'http://open.example/../a',
    'http://open.example/%2e%2e/a',
    'http://open.example/a\\b',
    'http://open.example/a%00',
  ])('%s', async (target) => {
    const answer = await get(target, 'Host: open.example').catch(() => undefined)
    expect([target, answer?.status ?? 400]).toEqual([target, 400])
    expect(arrived()).toBe(total)
    expect(gateway.log.text()).not.toContain('password')
  })

  it('and the log says of userinfo what it was, and not who', async () => {
    await expectRefused('http://user:password@open.example/', 400, 'invalid_target')
    expect(gateway.lastLine()).toMatchObject({ reason: 'userinfo in the URL' })
    expect(gateway.lastLine()).not.toHaveProperty('path')
    expect(gateway.lastLine()).not.toHaveProperty('host')
  })

  it('https is no http, in any letter case', async () => {
    await expectRefused('https://open.example/', 501, 'https_not_proxied')
    await expectRefused('HTTPS://open.example/', 501, 'https_not_proxied')
  })

  it('a URL longer than the listener takes is refused before it is read', async () => {
    await expectRefused(`http://${'a.'.repeat(5000)}example/`, 414, 'target_too_long')
  })
})

describe('the host of the URL decides, and nothing else', () => {
  it('a Host that anybody may use opens no URL that they may not', async () => {
    await expectRefused('http://guarded.example/', 401, 'token_required')
    await expectRefused('http://guarded.example:80/', 401, 'token_required', 'localhost')
    await expectRefused('http://a.open.example:1@guarded.example/', 400, 'invalid_target')
  })

  it('a Host that needs a token does not keep others from what is open, nor does it go on', async () => {
    expect((await get('http://open.example/a', 'Host: guarded.example')).status).toBe(200)
    expect(open.requests.at(-1)?.headers.host).toBe(`127.0.0.1:${open.port}`)
  })

  it.each([
    ['no Host', []],
    ['two', ['Host: open.example', 'Host: guarded.example']],
    ['a list', ['Host: open.example, guarded.example']],
    ['userinfo', ['Host: a@open.example']],
  ])('a Host that is not sound is refused all the same: %s', async (_, lines) => {
    expect((await get('http://open.example/a', ...lines)).status).toBe(400)
    expect(arrived()).toBe(total)
  })

  it('X-Forwarded-Host and its kin change nothing', async () => {
    const lines = ['X-Forwarded-Host: open.example', 'X-Original-URL: http://open.example/', 'X-Host: open.example']
    expect((await get('http://guarded.example/', 'Host: a', ...lines)).status).toBe(401)
    expect(arrived()).toBe(total)
  })

  it('each request on a connection has its own', async () => {
    const bytes = ['http://open.example/1', 'http://guarded.example/2', '/3', 'http://[::1]/4']
      .map((target) => `GET ${target} HTTP/1.1\r\nHost: open.example\r\n\r\n`)
      .join('')
    const answers = parseAnswers(
      await sendRaw(gateway.port, bytes, { until: (received) => parseAnswers(received).length === 4 }),
    )
    expect(answers.map(({ status }) => status)).toEqual([200, 401, 200, 404])
    expect(arrived()).toBe(total + 2)
  })
})

it('a browser with the proxy set does not lend the token to the pages that it shows', async () => {
  const page = [
    'Host: api.example',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  ]
  for (const lines of [page, [...page, 'Origin: http://evil.example'], [...page, 'Referer: http://evil.example/']])
    expect((await get('http://api.example/a', ...lines)).status).toBe(403)
  expect(arrived()).toBe(total)
  expect((await get('http://api.example/a', 'Host: api.example')).status).toBe(200)
})

it('OPTIONS for a whole server goes nowhere', async () => {
  for (const target of ['*', 'http://open.example'])
    expect((await ask(gateway.port, `OPTIONS ${target} HTTP/1.1\r\nHost: open.example\r\n\r\n`)).status).toBe(400)
  expect(arrived()).toBe(total)
})

it('a proxy that is passed through to itself ends the circle at its first turn', async () => {
  const port = await freePort()
  const log = createTestLog()
  const yaml = `
listeners: { main: { forward_proxy: { pass_through: ["localhost:${port}"] } } }
routes: [{ path: /a, public: true, upstream: "${open.url}" }]`
  const looping = createGateway(parseConfig(yaml, { file: 'test.yaml', env: {} }), { log: createLog(log) })
  const server = createServer(looping.serverOptions, looping.handler)
  looping.attach(server)
  const listening = await listen(server, port)
  try {
    for (const target of [`http://localhost:${port}/a`, `http://localhost:${port}/admin`]) {
      const answer = await ask(port, `GET ${target} HTTP/1.1\r\nHost: a\r\nConnection: Via\r\n\r\n`)
      expect([answer.status, JSON.parse(answer.body).code]).toEqual([508, 'loop_detected'])
    }
    expect(log.find({ msg: 'request' })).toHaveLength(4)
    expect(arrived()).toBe(total)
  } finally {
    await listening.stop()
    await looping.close()
  }
})
