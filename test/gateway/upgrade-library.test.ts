import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type IncomingMessage, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import express from 'express'
import { describe, expect, it, onTestFinished } from 'vitest'
import { WebSocketServer } from 'ws'
import { createLog } from '../../src/base/log.ts'
import { parseConfig } from '../../src/config/load.ts'
import type { AttachOptions } from '../../src/door.ts'
import { createGateway } from '../../src/gateway.ts'
import { startGateway } from '../harness/gateway.ts'
import { listen } from '../harness/listen.ts'
import { createTestLog } from '../harness/logs.ts'
import { parseAnswers } from '../harness/raw-client.ts'
import { type RawUpstream, startRawUpstream } from '../harness/upstream.ts'
import { openConnection, socketAnswer, socketRequest } from '../harness/web-socket.ts'
import { until } from '../proxy/proxy-server.ts'

async function startUpstream(): Promise<RawUpstream> {
  const upstream = await startRawUpstream(socketAnswer())
  onTestFinished(upstream.stop)
  return upstream
}

async function start(server: Server): Promise<number> {
  const listening = await listen(server)
  onTestFinished(listening.stop)
  return listening.port
}

const isNotH2c = (request: IncomingMessage) => request.headers.upgrade !== 'h2c'

/** An application with the gateway before `/api`, and a server that it is attached to. */
function attached(upstream: RawUpstream, options: AttachOptions = { upgrades: true }) {
  const yaml = `
routes:
  - { path: /api/open, public: true, upstream: "${upstream.url}" }
  - { path: /api/closed, callers: { networks: [192.0.2.0/24] }, upstream: "${upstream.url}" }`
  const gateway = createGateway(parseConfig(yaml, { file: 'test.yaml' }), { log: createLog(createTestLog()) })
  onTestFinished(() => gateway.close())
  const application = express()
  application.use('/api', (request, response, next) => {
    if (request.headers['x-key'] === 'none') response.status(403).send('guard')
    else next()
  })
  application.use(gateway.middleware)
  application.get('/own', (_request, response) => response.send('own'))
  const server = createHttpServer({ ...gateway.serverOptions, shouldUpgradeCallback: isNotH2c }, application)
  gateway.attach(server, options)
  return server
}

const statusOf = async (port: number, bytes: string) =>
  parseAnswers(await openConnection(port, bytes).closed)[0]?.status

describe('an application around the gateway', () => {
  it('does not have its guards passed by: unless it asks for WebSockets, there are none', async () => {
    const upstream = await startUpstream()
    const port = await start(attached(upstream, {}))
    expect(await statusOf(port, socketRequest('/api/open', 'X-Key: none', 'Connection: close'))).toBe(403)
    expect(await statusOf(port, socketRequest('/api/open'))).toBe(501)
    expect(upstream.connections).toEqual([])
  })

  it('keeps its own WebSockets also then', async () => {
    const upstream = await startUpstream()
    const server = attached(upstream, {})
    new WebSocketServer({ server, path: '/chat' }).on('connection', (own) => own.send('welcome'))
    const port = await start(server)
    const connection = openConnection(port, socketRequest('/chat'))
    await connection.until((received) => received.includes('welcome'))
    connection.socket.destroy()
    expect(await statusOf(port, socketRequest('/api/open'))).toBe(501)
    expect(upstream.connections).toEqual([])
  })

  it('has its upgrades pass the gate, and a path that nobody owns is 404', async () => {
    const upstream = await startUpstream()
    const port = await start(attached(upstream))
    const connection = openConnection(port, socketRequest('/api/open'))
    await connection.until((received) => received.includes(' 101 '))
    connection.socket.write('through')
    await until(() => upstream.connections[0]?.endsWith('through') === true)
    connection.socket.destroy()
    expect(await statusOf(port, socketRequest('/api/closed'))).toBe(403)
    expect(await statusOf(port, socketRequest('/chat'))).toBe(404)
    expect(upstream.connections).toHaveLength(1)
  })

  it('goes on with WebSockets of its own beside it, and with its own protocols', async () => {
    const upstream = await startUpstream()
    const server = attached(upstream)
    const chat = new WebSocketServer({ noServer: true })
    server.on('upgrade', (request, socket, head) => {
      if (request.url === '/chat') chat.handleUpgrade(request, socket, head, (own) => own.send('welcome'))
      if (request.url === '/tunnel') socket.end('HTTP/1.1 101 Own\r\nConnection: Upgrade\r\nUpgrade: own\r\n\r\nown')
    })
    const port = await start(server)
    const connection = openConnection(port, socketRequest('/chat'))
    await connection.until((received) => received.includes('welcome'))
    await sleep(50)
    expect(connection.received()).toMatch(/welcome$/)
    connection.socket.destroy()
    const own = socketRequest('/tunnel').replace('Upgrade: websocket', 'Upgrade: own')
    expect(await openConnection(port, own).closed).toMatch(/101 Own.*own$/s)
    const passed = openConnection(port, socketRequest('/api/open'))
    await passed.until((received) => received.includes(' 101 '))
    passed.socket.destroy()
    expect(await statusOf(port, socketRequest('/api/closed'))).toBe(403)
    expect(await statusOf(port, socketRequest('/api/../chat'))).toBe(400)
    const offer = 'GET /own HTTP/1.1\r\nHost: a\r\nConnection: close, upgrade\r\nUpgrade: h2c\r\n\r\n'
    expect(await statusOf(port, offer)).toBe(200)
  })
})

describe('a server that calls the handler itself', () => {
  const bare = async (upstream: RawUpstream, options?: AttachOptions) => {
    const yaml = `routes: [{ path: /open, public: true, upstream: "${upstream.url}" }]`
    const gateway = createGateway(parseConfig(yaml, { file: 'test.yaml' }), { log: createLog(createTestLog()) })
    onTestFinished(() => gateway.close())
    const server = createHttpServer(gateway.serverOptions)
    gateway.attach(server, options)
    // Also where it is told to only afterwards.
    server.on('request', gateway.handler)
    return { gateway, server, port: await start(server) }
  }

  it('takes WebSockets, and forgets those that have ended', async () => {
    const upstream = await startUpstream()
    const { gateway, port } = await bare(upstream)
    const connections = [openConnection(port, socketRequest('/open')), openConnection(port, socketRequest('/open'))]
    for (const connection of connections) await connection.until((received) => received.includes(' 101 '))
    connections[0]?.socket.destroy()
    await until(() => connections[0]?.socket.closed === true)
    await sleep(50)
    expect(gateway.endUpgraded()).toBe(1)
    await connections[1]?.closed
  })

  it('takes none where it is told so', async () => {
    const upstream = await startUpstream()
    const { port } = await bare(upstream, { upgrades: false })
    expect(await statusOf(port, socketRequest('/open'))).toBe(501)
    expect(upstream.connections).toEqual([])
  })

  it('has one gateway alone: a laxer one beside it would take the WebSockets that it refuses', async () => {
    const upstream = await startUpstream()
    const first = await bare(upstream)
    const second = await bare(upstream)
    expect(() => second.gateway.attach(first.server)).toThrow(/attached to this server already/)
    expect(() => first.gateway.attach(first.server)).toThrow(TypeError)
  })
})

const read = (name: string) => readFileSync(new URL(`../proxy/certificates/${name}`, import.meta.url), 'utf8')

describe('an upstream over TLS', () => {
  async function startTls() {
    const seen: boolean[] = []
    const options = { key: read('server.key'), cert: read('server.pem') }
    const server = createTlsServer(options, (_request, response) => response.end('plain'))
    const sockets = new WebSocketServer({ server })
    sockets.on('connection', (socket) => {
      seen.push(true)
      socket.send('safe')
    })
    return { port: await start(server), seen }
  }

  it('becomes a WebSocket where its certificate is good, and gets no request where it is not', async () => {
    const { port, seen } = await startTls()
    const gateway = await startGateway(
      `
routes:
  - { path: /good, public: true, upstream: { url: "https://127.0.0.1:${port}", tls: { ca: "\${env:CA}" } } }
  - { path: /bad, public: true, upstream: "https://127.0.0.1:${port}" }`,
      { env: { CA: read('ca.pem') } },
    )
    onTestFinished(gateway.stop)
    const connection = openConnection(gateway.port, socketRequest('/good'))
    await connection.until((received) => received.endsWith('safe'))
    connection.socket.destroy()
    expect(await statusOf(gateway.port, socketRequest('/bad'))).toBe(502)
    expect(seen).toEqual([true])
  })
})

it('an upgraded connection is none of those that are kept for the next request', async () => {
  const upstream = await startUpstream()
  const gateway = await startGateway(`routes: [{ path: /open, public: true, upstream: "${upstream.url}" }]`)
  onTestFinished(gateway.stop)
  const connections = [1, 2].map(() => openConnection(gateway.port, socketRequest('/open')))
  for (const connection of connections) await connection.until((received) => received.includes(' 101 '))
  connections[0]?.socket.destroy()
  await sleep(50)
  const third = openConnection(gateway.port, socketRequest('/open'))
  await third.until((received) => received.includes(' 101 '))
  expect(upstream.connections).toHaveLength(3)
  for (const { socket } of [...connections, third]) socket.destroy()
})
