import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask, type SendRawOptions } from '../harness/raw-client.ts'
import { headerValues } from '../harness/seen-request.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let upstream: Upstream
let gateway: RunningGateway
let behind: number
let outer: number

/** The address of a trusted proxy; the tests' other callers come from 127.0.0.1. */
const proxy = '127.0.0.2'

beforeAll(async () => {
  upstream = await startUpstream()
  const to = `upstream: "${upstream.url}"`
  gateway = await startGateway(`
listeners:
  main: { address: "127.0.0.1:0" }
  behind: { address: "127.0.0.1:0", trusted_proxies: [${proxy}], limits: { target_length: 100B } }
  outer: { address: "127.0.0.1:0", public_url: "https://api.example.com:8443" }
authorization_servers:
  sso: { issuer: "http://127.0.0.1:1", access_tokens: { audience: any } }
routes:
  - { name: of-main, listener: main, path: /both, public: true, ${to} }
  - { name: of-behind, listener: behind, path: /both, public: true, ${to} }
  - { listener: main, path: /main, public: true, ${to} }
  - { listener: main, path: /inside, callers: { networks: [198.51.100.0/24] }, ${to} }
  - { listener: main, path: /token, require: any_token, ${to} }
  - { listener: behind, path: /behind, public: true, ${to} }
  - { listener: behind, path: /inside, callers: { networks: [198.51.100.0/24] }, ${to} }
  - { listener: behind, path: /near, callers: { networks: [loopback] }, ${to} }
  - { listener: outer, path: /outer, public: true, ${to} }
  - { listener: outer, path: /token, require: any_token, ${to} }
`)
  behind = await gateway.open('behind')
  outer = await gateway.open('outer')
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop()]))

const get = (path: string, ...headers: string[]) =>
  `GET ${path} HTTP/1.1\r\nHost: asked.example\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`

const from198 = 'X-Forwarded-For: 198.51.100.7'
const forwarded = [from198, 'X-Forwarded-Proto: wss', 'X-Forwarded-Host: told.example']

async function statusOf(port: number, bytes: string, options: SendRawOptions = {}): Promise<number> {
  return (await ask(port, bytes, options)).status
}

/** What the upstream is told of where the request came from: address, protocol, host. */
async function told(port: number, bytes: string, options: SendRawOptions = {}): Promise<string[][]> {
  expect(await statusOf(port, bytes, options)).toBe(200)
  const seen = upstream.requests.at(-1) ?? expect.unreachable('nothing reached the upstream')
  return ['for', 'proto', 'host'].map((what) => headerValues(seen, `x-forwarded-${what}`))
}

describe('each listener', () => {
  it('has its own routes and nobody else’s', async () => {
    expect(await statusOf(gateway.port, get('/main'))).toBe(200)
    expect(await statusOf(behind, get('/behind'))).toBe(200)
    expect(await statusOf(gateway.port, get('/behind'))).toBe(404)
    expect(await statusOf(behind, get('/main'))).toBe(404)
  })

  it('has its own route for a path that others have too', async () => {
    for (const [port, listener] of [
      [gateway.port, 'main'],
      [behind, 'behind'],
    ] as const) {
      expect(await statusOf(port, get('/both'))).toBe(200)
      expect(gateway.lastLine()).toMatchObject({ listener, route: `of-${listener}` })
    }
  })

  it('has its own limits', async () => {
    const long = `/both?${'a'.repeat(200)}`
    expect(await statusOf(gateway.port, get(long))).toBe(200)
    expect(await statusOf(behind, get(long))).toBe(414)
  })
})

describe('where a request came from', () => {
  it('is what the connection says: nobody is believed by default', async () => {
    expect(await told(gateway.port, get('/main', ...forwarded))).toEqual([['127.0.0.1'], ['http'], ['asked.example']])
  })

  it('is what a trusted proxy says, and the proxy itself', async () => {
    expect(await told(behind, get('/behind', ...forwarded), { from: proxy })).toEqual([
      [`198.51.100.7, ${proxy}`],
      ['wss'],
      ['told.example'],
    ])
  })

  it('is not what somebody else says to the same listener', async () => {
    expect(await told(behind, get('/behind', ...forwarded))).toEqual([['127.0.0.1'], ['http'], ['asked.example']])
  })

  it('decides who may come in, by the word of a trusted proxy', async () => {
    expect(await statusOf(behind, get('/inside', from198), { from: proxy })).toBe(200)
    expect(gateway.lastLine()).toMatchObject({ address: '198.51.100.7' })
  })

  it('lets nobody in as the neighbour that their proxy is', async () => {
    expect(await statusOf(behind, get('/near'), { from: proxy })).toBe(200)
    expect(await statusOf(behind, get('/near', from198), { from: proxy })).toBe(403)
    expect(gateway.lastLine()).toMatchObject({ code: 'caller_not_allowed', address: '198.51.100.7' })
  })

  it('lets nobody in by their own word', async () => {
    expect(await statusOf(behind, get('/inside', from198))).toBe(403)
    expect(await statusOf(gateway.port, get('/inside', from198), { from: proxy })).toBe(403)
    expect(gateway.lastLine()).toMatchObject({ code: 'caller_not_allowed', address: proxy })
  })
})

describe('a listener’s public_url', () => {
  it('is what the upstream is told of it, whatever Host was asked for', async () => {
    expect(await told(outer, get('/outer', ...forwarded))).toEqual([['127.0.0.1'], ['https'], ['api.example.com:8443']])
  })

  it('is the realm of its challenges', async () => {
    const challenge = async (port: number) => (await ask(port, get('/token'))).headers['www-authenticate']
    expect(await challenge(outer)).toBe('Bearer realm="https://api.example.com:8443"')
    expect(await challenge(gateway.port)).toBe('Bearer realm="scopegate"')
  })
})
