import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let sso: AuthorizationServer
let upstream: Upstream
let clock: TestClock
const running: RunningGateway[] = []

beforeEach(async () => {
  sso = await startAuthorizationServer()
  upstream = await startUpstream()
  clock = createTestClock(Date.now())
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((gateway) => gateway.stop()))
  await Promise.all([sso.stop(), upstream.stop()])
})

async function start(): Promise<RunningGateway> {
  const yaml = `
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } }
clients:
  ours: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
routes:
  - { path: /token, callers: { networks: [loopback] }, token: { client: ours }, upstream: "${upstream.url}" }
  - { path: /guarded, require: any_token, upstream: "${upstream.url}" }
`
  const gateway = await startGateway(yaml, { env: { SECRET: sso.client.client_secret }, clock })
  running.push(gateway)
  return gateway
}

const get = (path: string, ...headers: string[]) =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`

/** Asks, and gives back the connection to leave by. */
function askToLeave(port: number, bytes: string): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(bytes)
  return socket
}

const requestLines = (gateway: RunningGateway) => gateway.log.find({ msg: 'request' })

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await sleep(5)
}

it('who leaves while a token is fetched is logged at once, and the others get theirs', async () => {
  const gateway = await start()
  const release = sso.hold('token')
  const leaving = askToLeave(gateway.port, get('/token'))
  await until(() => sso.requestsTo('token').length === 1)
  const staying = ask(gateway.port, get('/token'))
  await sleep(50)
  leaving.destroy()
  await until(() => requestLines(gateway).length === 1)
  expect(gateway.lastLine()).toMatchObject({ status: 499, code: 'caller_gone', client: 'ours' })
  release()
  expect((await staying).status).toBe(200)
  expect([sso.requestsTo('token').length, upstream.requests.length]).toEqual([1, 1])
})

it('who leaves while keys are fetched is logged at once, and the others get in', async () => {
  const bearer = `Authorization: Bearer ${await sso.signToken()}`
  const release = sso.hold('jwks')
  const gateway = await start()
  const leaving = askToLeave(gateway.port, get('/guarded', bearer))
  await until(() => sso.requestsTo('jwks').length === 1)
  const staying = ask(gateway.port, get('/guarded', bearer))
  await sleep(50)
  leaving.destroy()
  await until(() => requestLines(gateway).length === 1)
  expect(gateway.lastLine()).toMatchObject({ status: 499, code: 'caller_gone', route: '/guarded' })
  release()
  expect((await staying).status).toBe(200)
  expect(upstream.requests.length).toBe(1)
})

it('who leaves while a refused token is replaced is logged at once', async () => {
  const gateway = await start()
  expect((await ask(gateway.port, get('/token'))).status).toBe(200)
  await clock.advance(11_000)
  upstream.answer((_request, response) => response.writeHead(401).end())
  const release = sso.hold('token')
  const leaving = askToLeave(gateway.port, get('/token'))
  await until(() => sso.requestsTo('token').length === 2)
  leaving.destroy()
  await until(() => requestLines(gateway).length === 2)
  expect(gateway.lastLine()).toMatchObject({ status: 499, code: 'caller_gone' })
  release()
})

it('who has left before their turn came costs no token', async () => {
  const gateway = await start()
  const released = Promise.withResolvers<void>()
  upstream.answer(async (_request, response) => {
    await released.promise
    response.end('late')
  })
  const bearer = `Authorization: Bearer ${await sso.signToken()}`
  const leaving = askToLeave(gateway.port, get('/guarded', bearer) + get('/token'))
  await until(() => upstream.requests.length === 1)
  leaving.destroy()
  await until(() => requestLines(gateway).length === 2)
  expect(requestLines(gateway).map(({ code }) => code)).toEqual(['caller_gone', 'caller_gone'])
  released.resolve()
  await sleep(100)
  expect(sso.requestsTo('token').length).toBe(0)
})
