import { afterAll, beforeAll, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let upstream: Upstream
let gateway: RunningGateway

beforeAll(async () => {
  upstream = await startUpstream((request, response) => {
    const own = `http://127.0.0.1:${upstream.port}`
    const status = Number(request.headers['x-status'] ?? 302)
    response.writeHead(
      status,
      [
        ['Location', `${own}/new/a?b`],
        ['Content-Location', `${own}/new`],
        ['X-Location', `${own}/new`],
        ['Link', `<${own}/new>`],
      ].flat(),
    )
    response.end('moved')
  })
  gateway = await startGateway(`
listeners:
  main: { address: "127.0.0.1:8081" }
  public: { address: "127.0.0.1:8082", public_url: https://api.example.com, trusted_proxies: [127.0.0.1] }
  behind: { address: "127.0.0.1:8083", trusted_proxies: [127.0.0.1] }
routes:
  - { listener: main, path: /a/**, public: true, upstream: "${upstream.url}" }
  - { listener: main, path: /partner/**, public: true, upstream: { url: "${upstream.url}", strip_prefix: /partner, add_prefix: /new } }
  - { listener: main, path: /off/**, public: true, upstream: { url: "${upstream.url}", rewrite_location: false } }
  - { listener: main, host: named.example, path: /a/**, public: true, upstream: "${upstream.url}" }
  - { listener: main, host: "*.wild.example", path: /a/**, public: true, upstream: "${upstream.url}" }
  - { listener: behind, path: /**, public: true, upstream: "${upstream.url}" }
  - { listener: public, path: /**, public: true, upstream: "${upstream.url}" }
`)
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop()]))

const get = (path: string, port = gateway.port, ...lines: readonly string[]) =>
  ask(port, `GET ${path} HTTP/1.1\r\nHost: gateway.example:81\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`)

it('a redirect to the upstream leads the caller to the gateway again, and nothing else in the answer changes', async () => {
  const { headers, body } = await get('/a/b')
  expect(headers).toMatchObject({
    location: '/new/a?b',
    'content-location': '/new',
    'x-location': `${upstream.url}/new`,
    link: `<${upstream.url}/new>`,
  })
  expect(body).toBe('moved')
})

it('so does the place of what was created', async () => {
  const { status, headers } = await get('/a/b', gateway.port, 'X-Status: 201')
  expect([status, headers.location]).toEqual([201, '/new/a?b'])
})

it('and prefixes are those of the caller', async () => {
  expect((await get('/partner/b')).headers.location).toBe('/partner/a?b')
})

it('behind a proxy the caller gets the URL that it knows, whatever Host and proxy say', async () => {
  const port = await gateway.open('public')
  const { headers } = await get('/b', port, 'X-Forwarded-Host: other.example')
  expect(headers.location).toBe('https://api.example.com/new/a?b')
})

it('rewrite_location: false passes it untouched', async () => {
  expect((await get('/off/b')).headers.location).toBe(`${upstream.url}/new/a?b`)
})

/*
 * Whoever has a cache keep an answer for a Host of his own choice sends everybody else to that host.
 */
it('no host gets into it because a caller says so', async () => {
  const asHost = async (host: string) =>
    (await ask(gateway.port, `GET /a/b HTTP/1.1\r\nHost: ${host}\r\n\r\n`)).headers.location
  expect(await asHost('evil.example')).toBe('/new/a?b')
  expect(await asHost('evil.wild.example')).toBe('/new/a?b')
  expect(await asHost('named.example:81')).toBe('/new/a?b')
  expect(await asHost('named.example')).toBe('http://named.example/new/a?b')
  expect(await asHost(`named.example:${gateway.port}`)).toBe(`http://named.example:${gateway.port}/new/a?b`)
})

it('but because a trusted proxy does', async () => {
  const port = await gateway.open('behind')
  const forwarded = ['X-Forwarded-Host: seen.example', 'X-Forwarded-Proto: https']
  expect((await get('/b', port, ...forwarded)).headers.location).toBe('https://seen.example/new/a?b')
  expect((await get('/b', port)).headers.location).toBe('/new/a?b')
})

it('a caller that names no host gets the path', async () => {
  expect((await ask(gateway.port, 'GET /a/b HTTP/1.0\r\n\r\n')).headers.location).toBe('/new/a?b')
})
