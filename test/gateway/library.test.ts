import { createServer, type Server } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createGateway, createLog, type Gateway, parseConfig } from '../../src/index.ts'
import { type Listening, listen } from '../harness/listen.ts'
import { createTestLog } from '../harness/logs.ts'
import { ask, sendRaw } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let upstream: Upstream
let gateway: Gateway
const log = createTestLog()
const open: Listening[] = []

beforeAll(async () => {
  upstream = await startUpstream()
  const yaml = `
routes:
  - { path: /api/**, methods: [GET, POST], public: true, upstream: "${upstream.url}" }
  - { path: /closed, callers: { networks: [192.0.2.1] }, upstream: "${upstream.url}" }
`
  gateway = createGateway(parseConfig(yaml, { file: 'test.yaml' }), { log: createLog(log) })
})
afterEach(() => Promise.all(open.splice(0).map((server) => server.stop())))
afterAll(async () => {
  await gateway.close()
  await upstream.stop()
})

async function start(server: Server): Promise<number> {
  const listening = await listen(server)
  open.push(listening)
  return listening.port
}

function app() {
  const application = express()
  application.disable('x-powered-by')
  return application
}

const get = (path: string, ...headers: string[]) =>
  `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`

const webSocket = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]

describe('the gateway as Express middleware', () => {
  it('forwards what its routes own, and hands on what they do not', async () => {
    const application = app().use(gateway.middleware)
    application.get('/own', (_request, response) => void response.send('own'))
    const port = await start(createServer(application))
    expect((await ask(port, get('/api/1'))).status).toBe(200)
    expect((await ask(port, get('/own'))).body).toBe('own')
  })

  it('never hands on after a refusal', async () => {
    let handedOn = 0
    const application = app().use(gateway.middleware, (_request, response) => {
      handedOn++
      response.send('handed on')
    })
    const port = await start(createServer(application))
    for (const [bytes, status] of [
      [get('/closed'), 403],
      [get('/api/../closed'), 400],
      ['DELETE /api/1 HTTP/1.1\r\nHost: a\r\n\r\n', 405],
      [get('/api/1', 'Host: b'), 400],
      [get('/nowhere', 'Connection: Upgrade', 'Upgrade: websocket'), 400],
      [get('/nowhere', ...webSocket), 501],
    ] as const) {
      expect((await ask(port, bytes)).status).toBe(status)
    }
    expect(handedOn).toBe(0)
  })

  it('reads the target as the caller sent it, also where it is mounted under a prefix', async () => {
    const application = app().use('/api', gateway.middleware)
    const port = await start(createServer(application))
    expect((await ask(port, get('/api/1?q=2'))).status).toBe(200)
    expect(upstream.requests.at(-1)?.url).toBe('/api/1?q=2')
  })

  it('says clearly that a body was read before it', async () => {
    const application = app().use(express.json(), gateway.middleware)
    const port = await start(createServer(application))
    const answer = await ask(
      port,
      'POST /api/1 HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}',
    )
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([500, 'body_already_read'])
    expect(log.entries().at(-1)).toMatchObject({
      code: 'body_already_read',
      reason: 'mount the gateway before any body parser',
    })
  })

  it('refuses upgrades also without being attached', async () => {
    const port = await start(createServer(app().use(gateway.middleware)))
    const answer = await ask(port, get('/api/1', ...webSocket))
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([501, 'upgrade_not_supported'])
  })

  it("lets Java's offer of h2c pass as the plain request that it is", async () => {
    const port = await start(createServer(app().use(gateway.middleware)))
    const answer = await ask(
      port,
      get('/api/1', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'),
    )
    expect(answer.status).toBe(200)
    expect(upstream.requests.at(-1)?.headers).not.toHaveProperty('upgrade')
  })
})

describe('the gateway attached to a server', () => {
  const attached = async (handler: Parameters<typeof createServer>[1]) => {
    const server = createServer(gateway.serverOptions, handler)
    gateway.attach(server)
    return start(server)
  }
  const expecting = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`

  it('sends 100 Continue once a request is admitted, and then its body is forwarded', async () => {
    const port = await attached(gateway.handler)
    let received = ''
    const socket = connect(port, '127.0.0.1')
    socket.write(expecting('/api/1'))
    socket.on('data', (piece) => {
      received += piece
      if (received === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write('body')
    })
    while (!received.includes('"body":"body"')) await sleep(5)
    socket.destroy()
    expect(received).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
    expect(upstream.requests.at(-1)?.headers).not.toHaveProperty('expect')
  })

  it('sends no 100 Continue before a refusal', async () => {
    const port = await attached(gateway.handler)
    expect(await sendRaw(port, expecting('/closed'))).toMatch(/^HTTP\/1\.1 403 /)
  })

  it('sends 100 Continue for a path that is handed on, whose owner wants the body', async () => {
    const application = app().use(gateway.middleware, express.text({ type: () => true }))
    application.post('/own', (request, response) => void response.send(`got ${request.body}`))
    const port = await attached(application)
    let received = ''
    const socket = connect(port, '127.0.0.1')
    socket.write(expecting('/own'))
    socket.on('data', (piece) => {
      received += piece
      if (received === 'HTTP/1.1 100 Continue\r\n\r\n') socket.write('body')
    })
    while (!received.includes('got body')) await sleep(5)
    socket.destroy()
  })
})

it('a listener that the configuration does not have is a TypeError', () => {
  expect(() => gateway.listener('nowhere')).toThrow(new TypeError('there is no listener nowhere; there is main'))
})
