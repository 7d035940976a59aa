import { createServer } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createLog } from '../../src/base/log.ts'
import { parseConfig } from '../../src/config/load.ts'
import { serve } from '../../src/server.ts'
import { startAuthorizationServer } from '../harness/authorization-server.ts'
import { createTestClock } from '../harness/clock.ts'
import { startGateway } from '../harness/gateway.ts'
import { type Listening, listen } from '../harness/listen.ts'
import { createTestLog } from '../harness/logs.ts'
import { ask } from '../harness/raw-client.ts'

/** Servers and connections, at either end, and timers that this process lives for. */
function openHandles(): string[] {
  const kinds = ['TCPServerWrap', 'TCPSocketWrap', 'Timeout']
  return process
    .getActiveResourcesInfo()
    .filter((kind) => kinds.includes(kind))
    .sort()
}

/** What is open once nothing changes any more: what an earlier test has left is on its way out. */
async function settledHandles(): Promise<string[]> {
  for (;;) {
    const before = openHandles()
    await sleep(100)
    if (`${openHandles()}` === `${before}`) return before
  }
}

/** Waits at most one second: connections that are merely idle would be kept for several. */
async function expectNoMoreThan(before: readonly string[]): Promise<void> {
  const more = () =>
    before.reduce((left, kind) => left.toSpliced(left.indexOf(kind), left.includes(kind) ? 1 : 0), openHandles())
  for (let turn = 0; turn < 20 && more().length > 0; turn++) await sleep(50)
  expect(more()).toEqual([])
}

async function startServers(): Promise<{ sso: Awaited<ReturnType<typeof startAuthorizationServer>>; api: Listening }> {
  const sso = await startAuthorizationServer()
  const api = await listen(createServer((_request, response) => response.end('hello')))
  onTestFinished(async () => void (await Promise.all([sso.stop(), api.stop()])))
  return { sso, api }
}

const get = (path: string, ...headers: string[]) =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`

const until = async (holds: () => boolean) => {
  while (!holds()) await sleep(5)
}

describe('a gateway', () => {
  it('has its keys before anybody asks, and leaves nothing behind once closed', async () => {
    const { sso, api } = await startServers()
    const token = await sso.signToken()
    const before = await settledHandles()
    const clock = createTestClock(Date.now())
    const yaml = `
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } }
clients:
  ours: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
routes:
  - { path: /swap, require: any_token, token: { client: ours }, upstream: "http://127.0.0.1:${api.port}" }
`
    const gateway = await startGateway(yaml, { env: { SECRET: sso.client.client_secret }, clock })
    await until(() => sso.requestsTo('jwks').length === 1)
    const answer = await ask(gateway.port, get('/swap', `Authorization: Bearer ${token}`))
    expect([answer.status, answer.body, sso.requestsTo('jwks').length]).toEqual([200, 'hello', 1])
    // The renewal of the keys and of the token.
    expect(clock.pendingTimers()).toBeGreaterThanOrEqual(2)
    await gateway.stop()
    expect(clock.pendingTimers()).toBe(0)
    await expectNoMoreThan(before)
    await clock.advance(24 * 3600 * 1000)
    expect([sso.requestsTo('jwks').length, sso.requestsTo('token').length]).toEqual([1, 1])
  })

  it('fetches its keys anew while it runs', async () => {
    const { sso, api } = await startServers()
    const clock = createTestClock(Date.now())
    const gateway = await startGateway(
      `
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: any }, keys: { refresh: 5m } }
routes: [{ path: /, require: any_token, upstream: "http://127.0.0.1:${api.port}" }]`,
      { clock },
    )
    onTestFinished(gateway.stop)
    await until(() => clock.pendingTimers() === 1)
    await clock.advance(5 * 60_000)
    await until(() => sso.requestsTo('jwks').length === 2)
  })

  it('waits with its closing for what is on its way', async () => {
    const released = Promise.withResolvers<void>()
    const api = await listen(
      createServer(async (_request, response) => {
        await released.promise
        response.end('late')
      }),
    )
    onTestFinished(api.stop)
    const gateway = await startGateway(`routes: [{ path: /, public: true, upstream: "http://127.0.0.1:${api.port}" }]`)
    onTestFinished(gateway.stop)
    const answering = ask(gateway.port, get('/'))
    await sleep(50)
    let closed = false
    const closing = gateway.gateway.close().then(() => {
      closed = true
    })
    await sleep(50)
    expect(closed).toBe(false)
    released.resolve()
    expect((await answering).body).toBe('late')
    await closing
  })
})

describe('a configuration one of whose ports is taken', () => {
  it('opens nothing, says which, and leaves nothing behind', async () => {
    const { sso, api } = await startServers()
    const before = await settledHandles()
    const yaml = `
listeners:
  one: { address: "127.0.0.1:0" }
  two: { address: "127.0.0.1:${api.port}" }
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: any } }
routes: [{ path: /, listener: one, require: any_token, upstream: "http://127.0.0.1:${api.port}" }]
`
    const log = createTestLog()
    const serving = serve(parseConfig(yaml, { file: 'test.yaml' }), { log: createLog(log) })
    await expect(serving).rejects.toThrow(`the listener two cannot be opened on 127.0.0.1:${api.port} (EADDRINUSE)`)
    await sleep(200)
    await expectNoMoreThan(before)
    expect(log.entries()).toEqual([])
  })
})
