import type { ServerResponse } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createTestClock } from '../harness/clock.ts'
import { listen } from '../harness/listen.ts'
import { parseAnswer, sendRaw } from '../harness/raw-client.ts'
import { startRawUpstream, startUpstream } from '../harness/upstream.ts'
import { withEachEngine } from './engines.ts'
import { openSockets } from './open-sockets.ts'
import { until } from './proxy-server.ts'

const timeouts = { connect: '2s', response: '30s', idle: '60s' }
const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'
const ended = () => false

withEachEngine(({ keep, proxyTo }) => {
  test('an upstream that takes too long to connect is 504', async () => {
    // TLS to somebody who never answers the handshake: connected, and yet not.
    const upstream = await keep(startRawUpstream(() => {}))
    const clock = createTestClock()
    const proxy = await proxyTo({ url: upstream.url.replace('http', 'https'), timeouts }, { clock })
    const received = sendRaw(proxy.port, get)
    await until(() => upstream.connections.join('').length > 0)
    await clock.advance(1999)
    expect(proxy.results).toEqual([])
    await clock.advance(1)
    expect(parseAnswer(await received)?.status).toBe(504)
    expect(clock.pendingTimers()).toBe(0)
  })

  test('an upstream that does not answer is 504 after its time, not before', async () => {
    const upstream = await keep(startRawUpstream(() => {}))
    const clock = createTestClock()
    const proxy = await proxyTo({ url: upstream.url, timeouts }, { clock })
    const received = sendRaw(proxy.port, get)
    await until(() => upstream.connections.join('').includes('\r\n\r\n'))
    await clock.advance(29_999)
    expect(proxy.results).toEqual([])
    await clock.advance(1)
    expect(parseAnswer(await received)?.status).toBe(504)
    expect(proxy.results[0]).toMatchObject({ code: 'upstream_timeout' })
  })

  test('an upstream that falls silent on a kept connection is 504 after the same time', async () => {
    const upstream = await keep(
      startRawUpstream((socket, received) => {
        if (received.endsWith('GET / HTTP/1.1\r\n') || received.split('GET /').length > 2) return
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
      }),
    )
    const clock = createTestClock()
    const proxy = await proxyTo({ url: upstream.url, timeouts }, { clock })
    expect(parseAnswer(await sendRaw(proxy.port, get))?.status).toBe(200)
    const received = sendRaw(proxy.port, get)
    await until(() => upstream.connections[0]?.split('\r\n\r\n').length === 3)
    await clock.advance(29_999)
    expect(proxy.results).toHaveLength(1)
    await clock.advance(1)
    expect(parseAnswer(await received)?.status).toBe(504)
    expect(upstream.connections).toHaveLength(1)
    expect(clock.pendingTimers()).toBe(0)
  })

  test('a caller that is silent in its body is 408, and the connection ends', async () => {
    const upstream = await keep(startUpstream())
    const clock = createTestClock()
    const proxy = await proxyTo({ url: upstream.url, timeouts }, { clock, forward: { bodyIdle: 10_000 } })
    const received = sendRaw(proxy.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf', {
      until: ended,
    })
    await until(() => upstream.requests[0]?.body().toString() === 'half' || upstream.requests.length === 1)
    await clock.advance(10_000)
    const answer = parseAnswer(await received)
    expect(answer).toMatchObject({ status: 408, headers: { connection: 'close' } })
    expect(upstream.requests[0]?.complete()).toBe(false)
  })

  test('a slow but honest body is never too slow', async () => {
    const upstream = await keep(startUpstream())
    const clock = createTestClock()
    const proxy = await proxyTo({ url: upstream.url, timeouts }, { clock, forward: { bodyIdle: 10_000 } })
    const socket = connect(proxy.port, '127.0.0.1')
    let received = ''
    socket.on('data', (piece: Buffer) => {
      received += piece
    })
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n')
    await until(() => upstream.requests.length === 1)
    upstream.requests[0]
    for (let sent = 1; sent <= 8; sent++) {
      socket.write('x')
      await until(() => clock.pendingTimers() > 0)
      await new Promise((resolve) => setTimeout(resolve, 20))
      if (sent < 8) await clock.advance(9_000)
    }
    await until(() => received.includes('xxxxxxxx'))
    socket.destroy()
    expect(received).toMatch(/^HTTP\/1\.1 200/)
  })

  test('an upstream that takes no more of a body is 504, not 408', async () => {
    const sockets: Socket[] = []
    const deaf = await keep(listen(createServer((socket) => void sockets.push(socket.pause()))))
    const clock = createTestClock()
    const proxy = await proxyTo(
      { url: `http://127.0.0.1:${deaf.port}`, timeouts },
      { clock, forward: { bodyIdle: 1_000_000 } },
    )
    const body = Buffer.alloc(20_000_000)
    const received = sendRaw(
      proxy.port,
      Buffer.concat([Buffer.from(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n`), body]),
    )
    await until(() => sockets.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 300))
    await clock.advance(60_000)
    expect(parseAnswer(await received)?.status).toBe(504)
  })

  test('an upstream that falls silent in its answer is cut off, and so is the answer', async () => {
    const upstream = await keep(startRawUpstream('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'))
    const clock = createTestClock()
    const proxy = await proxyTo({ url: upstream.url, timeouts }, { clock })
    let begun = ''
    const received = sendRaw(proxy.port, get, {
      until: (text) => {
        begun = text
        return false
      },
    })
    await until(() => begun.includes('half'))
    await clock.advance(60_000)
    expect(await received).toMatch(/\r\n\r\nhalf$/)
    expect(proxy.results[0]).toMatchObject({ code: 'upstream_timeout' })
  })

  test('a caller that goes away ends the request at the upstream', async () => {
    let gone = false
    const upstream = await keep(
      startUpstream((request) => {
        request.on('close', () => {
          gone = true
        })
      }),
    )
    const proxy = await proxyTo(upstream.url)
    const socket = connect(proxy.port, '127.0.0.1', () => socket.write(get))
    await until(() => upstream.requests.length === 1)
    socket.destroy()
    await until(() => gone)
    expect(proxy.results[0]).toMatchObject({ code: 'caller_gone' })
  })

  test('a caller that goes away before the upstream is connected leaves nothing behind', async () => {
    const upstream = await keep(startRawUpstream(() => {}))
    const proxy = await proxyTo(upstream.url.replace('http', 'https'))
    const socket = connect(proxy.port, '127.0.0.1', () => socket.write(get))
    await until(() => upstream.connections.join('').length > 0)
    socket.destroy()
    await until(() => proxy.results.length === 1)
    expect(proxy.results[0]).toMatchObject({ code: 'caller_gone' })
    await until(() => openSockets(proxy.upstream).length === 0)
  })

  test('an answer leaves no timer behind', async () => {
    const upstream = await keep(startUpstream())
    const clock = createTestClock()
    const proxy = await proxyTo({ url: upstream.url, timeouts }, { clock })
    await sendRaw(proxy.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok')
    await until(() => proxy.results.length === 1)
    expect(clock.pendingTimers()).toBe(0)
  })

  test('a caller may be silent in its body while the answer is coming', async () => {
    const answers: ServerResponse[] = []
    const upstream = await keep(startUpstream((_, response) => void answers.push(response)))
    const clock = createTestClock()
    const proxy = await proxyTo({ url: upstream.url, timeouts }, { clock, forward: { bodyIdle: 10_000 } })
    let received = ''
    const socket = connect(proxy.port, '127.0.0.1')
    socket.on('data', (piece: Buffer) => {
      received += piece
    })
    socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n')
    await until(() => answers.length === 1)
    answers[0]?.write('one')
    await until(() => received.includes('one'))
    socket.write('part')
    await new Promise((resolve) => setTimeout(resolve, 30))
    await clock.advance(59_000)
    answers[0]?.write('two')
    await until(() => received.includes('two'))
    await clock.advance(59_000)
    expect(proxy.results).toEqual([])
    await clock.advance(1000)
    expect(proxy.results).toMatchObject([{ code: 'upstream_timeout' }])
    socket.destroy()
  })
})
