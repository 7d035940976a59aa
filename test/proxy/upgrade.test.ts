import { readFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:tls'
import { describe, expect, test } from 'vitest'
import { createTestClock } from '../harness/clock.ts'
import { listen } from '../harness/listen.ts'
import { ask, parseAnswer } from '../harness/raw-client.ts'
import { readRequests } from '../harness/strict-http.ts'
import { startRawUpstream } from '../harness/upstream.ts'
import { openConnection, socketAnswer, socketRequest } from '../harness/web-socket.ts'
import { withEachEngine } from './engines.ts'
import { openSockets } from './open-sockets.ts'
import { until } from './proxy-server.ts'

/** Answers 101, and from then on the same bytes in capitals. */
function startEcho(...headers: string[]) {
  return startRawUpstream((socket, received) => {
    const [, spoken = ''] = received.split('\r\n\r\n')
    if (received.endsWith('\r\n\r\n')) socket.write(`${socketAnswer(...headers)}first `, 'latin1')
    else if (spoken.endsWith('!')) socket.write(spoken.toUpperCase())
  })
}

withEachEngine(({ keep, proxyTo }) => {
  test('a WebSocket carries every byte both ways, early ones too, and tells how it ended', async () => {
    const upstream = await keep(startEcho())
    const proxy = await proxyTo(upstream.url)
    const caller = openConnection(proxy.port, socketRequest('/socket'))
    await caller.until((received) => received.endsWith('\r\n\r\nfirst '))
    caller.socket.write('shout!')
    await caller.until((received) => received.endsWith('first SHOUT!'))
    expect(proxy.results).toMatchObject([{ status: 101 }])
    caller.socket.end()
    await caller.closed
    const [result] = proxy.results
    expect(await (result && 'ended' in result ? result.ended : undefined)).toEqual({
      reason: 'caller',
      bytesIn: 6,
      bytesOut: 12,
    })
    await until(() => openSockets(proxy.upstream).length === 0)
  })

  test('it is asked for with these headers, each of them once', async () => {
    const upstream = await keep(startEcho())
    const proxy = await proxyTo(upstream.url)
    const caller = openConnection(proxy.port, socketRequest('/socket?a=b', 'X-Name: caf\xe9'))
    await caller.until((received) => received.includes('first'))
    caller.socket.destroy()
    const [sent] = readRequests(upstream.connections[0] ?? '')
    expect(sent).toMatchObject({ method: 'GET', target: '/socket?a=b' })
    expect(sent?.headers.map(([name, value]) => `${name.toLowerCase()}: ${value}`).sort()).toEqual([
      'connection: Upgrade',
      `host: ${new URL(upstream.url).host}`,
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-version: 13',
      'upgrade: websocket',
      'via: 1.1 scopegate-test',
      'x-forwarded-for: 127.0.0.1',
      'x-forwarded-host: 127.0.0.1',
      'x-forwarded-proto: http',
      'x-name: caf\xe9',
    ])
  })

  test('the headers of its answer arrive as they came, bytes above ASCII too', async () => {
    const upstream = await keep(startEcho('X-Name: caf\xe9 \xc3\xa9'))
    const proxy = await proxyTo(upstream.url)
    const caller = openConnection(proxy.port, socketRequest('/'))
    await caller.until((received) => received.includes('first'))
    caller.socket.destroy()
    expect(parseAnswer(caller.received())?.headers['x-name']).toBe('caf\xe9 \xc3\xa9')
  })

  test('it never takes a kept connection, and never leaves one', async () => {
    const upstream = await keep(
      startRawUpstream((socket, received) => {
        if (received.startsWith('GET /plain')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
        else socket.write(socketAnswer())
      }),
    )
    const proxy = await proxyTo(upstream.url)
    await ask(proxy.port, 'GET /plain HTTP/1.1\r\nhost: x\r\n\r\n')
    const caller = openConnection(proxy.port, socketRequest('/'))
    await caller.until((received) => received.includes(' 101 '))
    caller.socket.destroy()
    expect(upstream.connections).toHaveLength(2)
    await until(() => openSockets(proxy.upstream).length === 1)
    await ask(proxy.port, 'GET /plain HTTP/1.1\r\nhost: x\r\n\r\n')
    expect(upstream.connections).toHaveLength(2)
  })

  describe('a WebSocket is not opened', () => {
    test('where the upstream refuses it, in its own words', async () => {
      const upstream = await keep(
        startRawUpstream('HTTP/1.1 403 No\r\nX-Why: not you\r\ncontent-length: 5\r\n\r\nnever'),
      )
      const proxy = await proxyTo(upstream.url)
      const received = await openConnection(proxy.port, socketRequest('/')).closed
      expect(parseAnswer(received)).toMatchObject({
        status: 403,
        body: 'never',
        headers: { 'x-why': 'not you', connection: 'close' },
      })
      await until(() => openSockets(proxy.upstream).length === 0)
    })

    test.each([
      ['answers another key', socketAnswer().replace(/Accept: \S+/, 'Accept: AAAA')],
      ['answers another protocol', socketAnswer().replace('websocket', 'h2c')],
      ['answers 101 with a length', socketAnswer('Content-Length: 5')],
      ['answers what is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
    ])('where the upstream %s: 502', async (_, bytes) => {
      const upstream = await keep(startRawUpstream(bytes))
      const proxy = await proxyTo(upstream.url)
      const received = await openConnection(proxy.port, socketRequest('/')).closed
      expect(received).toMatch(/^HTTP\/1\.1 502 /)
      expect(proxy.results).toMatchObject([{ code: 'upstream_invalid_response' }])
      await until(() => openSockets(proxy.upstream).length === 0)
    })

    test('where the upstream is not there, or breaks off: 502', async () => {
      const upstream = await keep(startRawUpstream((socket) => socket.destroy()))
      const proxy = await proxyTo(upstream.url)
      expect(await openConnection(proxy.port, socketRequest('/')).closed).toMatch(/^HTTP\/1\.1 502 /)
      expect(upstream.connections).toHaveLength(1)
      await upstream.stop()
      expect(await openConnection(proxy.port, socketRequest('/')).closed).toMatch(/^HTTP\/1\.1 502 /)
    })

    test('where the upstream does not answer in time: 504', async () => {
      const upstream = await keep(startRawUpstream(() => {}))
      const clock = createTestClock()
      const proxy = await proxyTo({ url: upstream.url, timeouts: { response: '30s' } }, { clock })
      const caller = openConnection(proxy.port, socketRequest('/'))
      await until(() => upstream.connections.join('').endsWith('\r\n\r\n'))
      await clock.advance(30_000)
      expect(await caller.closed).toMatch(/^HTTP\/1\.1 504 /)
      expect(clock.pendingTimers()).toBe(0)
      await until(() => openSockets(proxy.upstream).length === 0)
    })

    test('where the caller has gone away before the answer: its request ends at the upstream', async () => {
      let gone = false
      const upstream = await keep(
        startRawUpstream((socket) => {
          socket.on('close', () => {
            gone = true
          })
        }),
      )
      const proxy = await proxyTo(upstream.url)
      const caller = openConnection(proxy.port, socketRequest('/'))
      await until(() => upstream.connections.join('') !== '')
      caller.socket.destroy()
      await until(() => gone && proxy.results.length === 1)
      expect(proxy.results).toMatchObject([{ code: 'caller_gone' }])
    })
  })

  test('a WebSocket to an upstream that speaks TLS carries bytes both ways', async () => {
    const read = (name: string) => readFileSync(new URL(`certificates/${name}`, import.meta.url), 'utf8')
    const server = createTlsServer({ key: read('server.key'), cert: read('server.pem') }, (socket) => {
      socket.once('data', () => {
        socket.write(socketAnswer())
        socket.on('data', (piece) => socket.write(piece))
      })
    })
    const { port } = await keep(listen(server))
    const proxy = await proxyTo({ url: `https://127.0.0.1:${port}`, tls: { ca: read('ca.pem') } })
    const caller = openConnection(proxy.port, socketRequest('/'))
    await caller.until((received) => received.endsWith('\r\n\r\n'))
    caller.socket.write('there and back')
    await caller.until((received) => received.endsWith('there and back'))
    caller.socket.end()
    await caller.closed
    await until(() => openSockets(proxy.upstream).length === 0)
  })
})
