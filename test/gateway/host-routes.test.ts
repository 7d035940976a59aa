import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let upstream: Upstream
let gateway: RunningGateway

const hosts = { exact: 'api.example.com', wide: '*.example.com', deep: '*.eu.example.com', address: '[::1]' }

beforeAll(async () => {
  upstream = await startUpstream()
  const open = `public: true, upstream: "${upstream.url}"`
  gateway = await startGateway(`
routes:
${Object.entries(hosts)
  .map(([name, host]) => `  - { name: ${name}, host: "${host}", path: /shared/**, ${open} }`)
  .join('\n')}
  - { name: own, host: api.example.com, path: /own, methods: [GET], ${open} }
  - { name: any, path: /**, ${open} }
  - { name: guarded, host: closed.example.com, path: /**, callers: { networks: [192.0.2.1] }, upstream: "${upstream.url}" }
`)
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop()]))

async function routeOf(host: string, path = '/shared/a', method = 'GET') {
  const { status } = await ask(gateway.port, `${method} ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
  return status === 200 ? gateway.lastLine().route : status
}

describe('a route with a host', () => {
  it.each([
    ['api.example.com', 'exact'],
    ['API.EXAMPLE.COM', 'exact'],
    ['api.example.com:8443', 'exact'],
    ['api.example.com.', 'exact'],
    ['www.example.com', 'wide'],
    ['a.b.example.com', 'wide'],
    ['x.api.example.com', 'wide'],
    ['shop.eu.example.com', 'deep'],
    ['eu.example.com', 'wide'],
    ['[::1]:80', 'address'],
    ['[0:0:0:0:0:0:0:1]', 'address'],
    ['example.com', 'any'],
    ['notexample.com', 'any'],
    ['api.example.com.evil.example', 'any'],
    ['api.example.como', 'any'],
  ])('a request for %s goes to %s', async (host, route) => {
    expect(await routeOf(host)).toBe(route)
  })

  it('owns its path whatever the method: none falls through to a route without a host', async () => {
    expect(await routeOf('api.example.com', '/own')).toBe('own')
    expect(await routeOf('api.example.com', '/own', 'POST')).toBe(405)
    expect(await routeOf('www.example.com', '/own', 'POST')).toBe('any')
  })

  it('leaves paths that are not its own to the wider ones', async () => {
    expect(await routeOf('api.example.com', '/other')).toBe('any')
  })

  it('guards its host in every spelling', async () => {
    for (const host of ['closed.example.com', 'CLOSED.example.com:1', 'closed.example.com.', 'closed.example.com.:80'])
      expect(await routeOf(host)).toBe(403)
  })

  it.each([
    'closed.example.com,api.example.com',
    'closed%2eexample.com',
    'x@closed.example.com',
    'closed.example.com/',
    'closed..example.com',
  ])('a Host that others read otherwise is refused: %s', async (host) => {
    expect(await routeOf(host)).toBe(400)
  })
})
