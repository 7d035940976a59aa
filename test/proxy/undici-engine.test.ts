import { Agent } from 'node:http'
import { connect, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { Engine } from '../../src/proxy/engine.ts'
import { undiciEngine } from '../../src/proxy/undici-engine.ts'
import { clientsOf } from '../../src/proxy/upstream-clients.ts'
import { ask } from '../harness/raw-client.ts'
import { startRawUpstream } from '../harness/upstream.ts'
import { createKeeper } from './keep.ts'
import { openSockets } from './open-sockets.ts'
import { until } from './proxy-server.ts'

const { keep, proxyTo } = createKeeper(undiciEngine)
const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'
const good = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood'
const hints = 'HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n'
const chunked = 'transfer-encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n'

describe('the version of an answer', () => {
  test.each([
    ['a whole answer at once', [`HTTP/1.1 200 OK\r\n${chunked}`], 200],
    ['HTTP/1.0', [`HTTP/1.0 200 OK\r\n${chunked}`], 502],
    ['HTTP/1.0, its first line in two pieces', ['HTTP/1', `.0 200 OK\r\n${chunked}`], 502],
    ['HTTP/1.1, its first line in two pieces', ['HTTP/1.1 20', `0 OK\r\n${chunked}`], 200],
    ['HTTP/1.1, its reason in two pieces', [`HTTP/1.1 200 ${'good '.repeat(12)}`, `enough\r\n${chunked}`], 200],
    ['HTTP/1.0 in one with an interim answer of HTTP/1.1', [`${hints}HTTP/1.0 200 OK\r\n${chunked}`], 502],
    ['HTTP/1.1 behind empty lines', [`\r\n\r\nHTTP/1.1 200 OK\r\n${chunked}`], 200],
    ['HTTP/1.0 behind empty lines and an interim one', [`\r\n\r\n${hints}HTTP/1.0 200 OK\r\n${chunked}`], 502],
    ['HTTP/1.0 behind two interim ones', [hints, hints, `HTTP/1.0 200 OK\r\n${chunked}`], 502],
    [
      'HTTP/1.1 behind two interim ones',
      [hints, hints.slice(0, 30), `${hints.slice(30)}HTTP/1.1 200\r\n${chunked}`],
      200,
    ],
  ])('counts where there are chunks: %s', async (_, pieces, status) => {
    const upstream = await keep(
      startRawUpstream(async (socket) => {
        for (const piece of pieces) {
          socket.write(piece)
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      }),
    )
    const proxy = await proxyTo(upstream.url)
    expect((await ask(proxy.port, get)).status).toBe(status)
  })

  test('is that of each answer on a connection', async () => {
    const upstream = await keep(
      startRawUpstream((socket, received) => {
        socket.write(received.split('GET').length < 4 ? hints + good : `${hints}HTTP/1.0 200 OK\r\n${chunked}`)
      }),
    )
    const proxy = await proxyTo(upstream.url)
    const statuses: (number | undefined)[] = []
    for (let turn = 0; turn < 3; turn++) statuses.push((await ask(proxy.port, get)).status)
    expect(statuses).toEqual([200, 200, 502])
    expect(upstream.connections).toHaveLength(1)
  })
})

const shout = 'a'.repeat(20_000)
/** Each of these goes on and on. */
test.each([
  ['a reason', 'HTTP/1.1 200 ', shout],
  ['an interim head', 'HTTP/1.1 103 Early Hints\r\n', `x: ${shout.slice(0, 1000)}\r\n`],
  ['a reason behind an interim head', `${hints}HTTP/1.1 200 `, shout],
])('%s without end is a fault, and is not kept in memory', async (_, beginning, more) => {
  const upstream = await keep(
    startRawUpstream((socket) => {
      socket.write(beginning)
      const timer = setInterval(() => socket.write(more), 1)
      socket.on('error', () => {}).on('close', () => clearInterval(timer))
    }),
  )
  const proxy = await proxyTo(upstream.url)
  expect((await ask(proxy.port, get)).status).toBe(502)
  expect(proxy.results).toMatchObject([
    { code: 'upstream_invalid_response', options: { reason: 'HPE_HEADER_OVERFLOW' } },
  ])
  expect(openSockets(proxy.upstream)).toEqual([])
})

test.each([
  ['a reason', 'HTTP/1.1 200 ', 'a'.repeat(1000)],
  ['empty lines', '', '\r\n'.repeat(1000)],
])('a caller that leaves while %s comes without end harms nobody', async (_, beginning, more) => {
  const upstream = await keep(
    startRawUpstream((socket) => {
      socket.write(beginning + more)
      const timer = setInterval(() => beginning === '' && socket.write(more), 1)
      socket.on('error', () => {}).on('close', () => clearInterval(timer))
    }),
  )
  const proxy = await proxyTo(upstream.url)
  const caller = connect(proxy.port, '127.0.0.1', () => caller.write(get))
  await until(() => upstream.connections.join('').length > 0)
  await new Promise((resolve) => setTimeout(resolve, 50))
  caller.destroy()
  await until(() => proxy.results.length === 1)
  expect(proxy.results).toMatchObject([{ code: 'caller_gone' }])
  await until(() => openSockets(proxy.upstream).length === 0)
})

test('blanks behind a value belong to none', async () => {
  const upstream = await keep(startRawUpstream('HTTP/1.1 200 OK\r\nx-name: a b \t\r\ncontent-length: 4 \r\n\r\ngood'))
  const proxy = await proxyTo(upstream.url)
  expect(await ask(proxy.port, get)).toMatchObject({ status: 200, headers: { 'x-name': 'a b' }, body: 'good' })
})

test('an idle connection is closed before the 5 s are over after which many upstreams close it', async () => {
  const upstream = await keep(startRawUpstream((socket) => void socket.write(good)))
  const proxy = await proxyTo(upstream.url)
  await ask(proxy.port, get)
  const [socket] = openSockets(proxy.upstream)
  const since = performance.now()
  await new Promise((resolve) => socket?.once('close', resolve))
  expect(performance.now() - since).toBeLessThan(5000)
  expect(openSockets(proxy.upstream)).toEqual([])
}, 10_000)

test('an upstream that says 100 Continue unasked is asked once more, and by the other client from then on', async () => {
  const upstream = await keep(startRawUpstream((socket) => void socket.write(`HTTP/1.1 100 Continue\r\n\r\n${good}`)))
  const proxy = await proxyTo(upstream.url)
  for (let turn = 0; turn < 3; turn++) expect(await ask(proxy.port, get)).toMatchObject({ status: 200, body: 'good' })
  expect(upstream.connections.map((received) => received.split('GET').length - 1)).toEqual([1, 1, 2])
  expect(clientsOf(proxy.upstream.kept).sockets.size).toBe(0)
})

test('of the idle connections the one that was used last is taken, if it is still open', async () => {
  const upstream = await keep(
    startRawUpstream((socket, _, connection) => {
      if (connection === 1) for (const each of [first, socket]) each?.write(good)
      else first = socket
    }),
  )
  let first: Socket | undefined
  const proxy = await proxyTo(upstream.url)
  const { target, kept } = proxy.upstream
  await Promise.all([ask(proxy.port, get), ask(proxy.port, get)])
  const [last, other] = [clientsOf(kept).take(target), clientsOf(kept).take(target)]
  for (const each of [other, last]) each.release()
  expect(clientsOf(kept).take(target)).toBe(last)
  last.release()
  last.close()
  expect(clientsOf(kept).take(target)).toBe(other)
  other.close()
  await until(() => openSockets(proxy.upstream).length === 0)
  expect([last, other]).not.toContain(clientsOf(kept).take(target))
})

test.each([
  ['http:', 80],
  ['https:', 443],
])('a URL of %s without a port means %i', async (protocol, port) => {
  const wished: unknown[] = []
  const agent = new Agent()
  agent.createConnection = (options) => {
    wished.push(options)
    return connect(0, '127.0.0.1').on('error', () => {})
  }
  const clients = clientsOf({ agent, keepAlive: true, whenRetired: () => {}, retire: () => {} })
  const taken = clients.take({ protocol, hostname: 'upstream.example', port: '' })
  taken.client.dispatch(
    { method: 'GET', path: '/' },
    { onRequestStart() {}, onResponseStart() {}, onResponseData() {}, onResponseEnd() {}, onResponseError() {} },
  )
  await until(() => wished.length > 0)
  expect(wished).toMatchObject([{ host: 'upstream.example', port }])
  taken.close()
})

test('a caller that leaves before the client is loaded costs the upstream nothing', async () => {
  const upstream = await keep(startRawUpstream((socket) => void socket.write(good)))
  const { promise: engine, resolve: load } = Promise.withResolvers<Engine>()
  const proxy = await proxyTo(upstream.url, { engine })
  const caller = connect(proxy.port, '127.0.0.1', () => caller.write(get))
  await until(() => caller.bytesWritten > 0)
  await new Promise((resolve) => setTimeout(resolve, 50))
  caller.destroy()
  await new Promise((resolve) => setTimeout(resolve, 50))
  load(undiciEngine)
  await until(() => proxy.results.length === 1)
  expect(proxy.results).toMatchObject([{ code: 'caller_gone' }])
  expect(upstream.connections).toEqual([])
})
