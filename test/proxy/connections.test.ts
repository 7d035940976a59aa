import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { createUpstreamAgent } from '../../src/proxy/upstream-agent.ts'
import { listen } from '../harness/listen.ts'
import { ask, parseAnswers, sendRaw } from '../harness/raw-client.ts'
import { startRawUpstream, startUpstream } from '../harness/upstream.ts'
import { withEachEngine } from './engines.ts'
import { openSockets } from './open-sockets.ts'
import { until } from './proxy-server.ts'

const ok = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const request = (method: string, more = '\r\n') => `${method} / HTTP/1.1\r\nhost: x\r\n${more}`

/** Answers the first request, and closes each used connection as soon as the second one begins on it. */
function closesOnReuse() {
  return startRawUpstream((socket, received) => {
    if (received.split('HTTP/1.1').length > 2) socket.destroy()
    else if (received.includes('\r\n\r\n')) socket.write(ok)
  })
}

withEachEngine(({ keep, proxyTo }) => {
  test.each(['GET', 'HEAD', 'OPTIONS'])(
    '%s on a connection that the upstream closes just now is sent once more',
    async (method) => {
      const upstream = await keep(closesOnReuse())
      const proxy = await proxyTo(upstream.url)
      await ask(proxy.port, request('GET'))
      expect((await ask(proxy.port, request(method), { head: method === 'HEAD' })).status).toBe(200)
      expect(upstream.connections).toHaveLength(2)
    },
  )

  test('it is sent once more on a new connection, for the other idle ones may be closed as well', async () => {
    const waiting: Socket[] = []
    const upstream = await keep(
      startRawUpstream((socket, received, connection) => {
        if (received.split('HTTP/1.1').length > 2) socket.destroy()
        else if (connection >= 3) socket.write(ok)
        else if (waiting.push(socket) === 3) for (const each of waiting) each.write(ok)
      }),
    )
    const proxy = await proxyTo(upstream.url)
    await Promise.all([1, 2, 3].map(() => ask(proxy.port, request('GET'))))
    expect((await ask(proxy.port, request('GET'))).status).toBe(200)
    expect(upstream.connections.map((each) => each.split('GET /').length - 1).sort()).toEqual([1, 1, 1, 2])
  })

  test.each([
    ['POST', '\r\n'],
    ['DELETE', '\r\n'],
    ['GET', 'content-length: 2\r\n\r\nok'],
  ])('%s with %j behind it is never sent twice', async (method, more) => {
    const upstream = await keep(closesOnReuse())
    const proxy = await proxyTo(upstream.url)
    await ask(proxy.port, request(method, more))
    expect((await ask(proxy.port, request(method, more))).status).toBe(502)
    expect(upstream.connections).toHaveLength(1)
  })

  test('a request is not sent again when an answer had begun, or on a new connection', async () => {
    const begun = await keep(
      startRawUpstream((socket, received) => {
        if (received.split('HTTP/1.1').length > 2) socket.end('HTTP/1.1 200 OK\r\n')
        else socket.write(ok)
      }),
    )
    const proxy = await proxyTo(begun.url)
    await ask(proxy.port, request('GET'))
    expect((await ask(proxy.port, request('GET'))).status).toBe(502)
    expect(begun.connections).toHaveLength(1)
    const closing = await keep(startRawUpstream((socket) => socket.destroy()))
    const other = await proxyTo(closing.url)
    expect((await ask(other.port, request('GET'))).status).toBe(502)
    expect(closing.connections).toHaveLength(1)
  })

  test('it is sent once more, and not a third time', async () => {
    let answers = 1
    const upstream = await keep(
      startRawUpstream((socket) => void (answers-- > 0 ? socket.write(ok) : socket.destroy())),
    )
    const proxy = await proxyTo(upstream.url)
    await ask(proxy.port, request('GET'))
    expect((await ask(proxy.port, request('GET'))).status).toBe(502)
    expect(upstream.connections.map((each) => each.split('GET /').length - 1)).toEqual([2, 1])
  })

  test('three hundred idle event streams leave room for the next request', async () => {
    const upstream = await keep(
      startUpstream((incoming, response) => {
        if (incoming.url === '/stream') response.writeHead(200).flushHeaders()
        else response.end('ok')
      }),
    )
    const proxy = await proxyTo(upstream.url)
    const streams = Array.from({ length: 300 }, () => {
      const socket = connect(proxy.port, '127.0.0.1', () => socket.write('GET /stream HTTP/1.1\r\nhost: x\r\n\r\n'))
      return socket.resume()
    })
    await until(() => upstream.requests.length === 300)
    expect((await ask(proxy.port, request('GET'))).body).toBe('ok')
    for (const socket of streams) socket.destroy()
  })

  test('POSTs to an upstream that closes idle connections quickly all arrive', async () => {
    const server = createServer({ keepAliveTimeout: 5000 }, (incoming, response) => {
      incoming.resume().on('end', () => response.end('ok'))
    })
    const upstream = await keep(listen(server))
    const proxy = await proxyTo(`http://127.0.0.1:${upstream.port}`)
    expect(Object(proxy.upstream.kept.agent).options.timeout).toBeLessThan(5000)
    const statuses: number[] = []
    for (let turn = 0; turn < 30; turn++)
      statuses.push((await ask(proxy.port, request('POST', 'content-length: 2\r\n\r\nok'))).status)
    expect(new Set(statuses)).toEqual(new Set([200]))
  })

  test('many requests on one connection leave no listeners on it', async () => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url)
    const warnings: Error[] = []
    const note = (warning: Error) => void warnings.push(warning)
    process.on('warning', note)
    const requests = Array.from({ length: 30 }, (_, index) =>
      request(index % 2 === 0 ? 'GET' : 'POST', index % 2 === 0 ? '\r\n' : 'content-length: 2\r\n\r\nok'),
    )
    await sendRaw(proxy.port, requests.join(''), { until: (text) => parseAnswers(text).length === 30 })
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', note)
    expect(warnings).toEqual([])
    const sockets = openSockets(proxy.upstream)
    expect(sockets.length).toBeGreaterThan(0)
    for (const socket of sockets) {
      expect(socket.listenerCount('close')).toBeLessThan(6)
      expect(socket.listenerCount('data')).toBe(0)
    }
  })

  test('an upstream that is closed finishes what is in flight, and keeps no connection', async () => {
    let finish = () => {}
    const upstream = await keep(
      startUpstream((_, response) => {
        response.write('begun ')
        finish = () => response.end('finished')
      }),
    )
    const proxy = await proxyTo(upstream.url)
    const answer = ask(proxy.port, request('GET'))
    await until(() => upstream.requests.length === 1)
    proxy.upstream.close()
    finish()
    expect((await answer).body).toBe('begun finished')
    await until(() => openSockets(proxy.upstream).length === 0)
  })

  test('a connection that is still being made is not kept for the next request', () => {
    const { agent } = createUpstreamAgent({ encrypted: false, keepAlive: true, serverName: '' })
    const socket = connect(1, '127.0.0.1').on('error', () => {})
    expect(agent.keepSocketAlive(socket)).toBe(false)
    socket.destroy()
  })
})
