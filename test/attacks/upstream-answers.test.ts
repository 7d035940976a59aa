/**
 * The attack, from the other side: an upstream that is broken, or taken over, or only an open redirect into somebody's
 * server, answers what is no HTTP, or what has two lengths, or more answers than were asked for. Passed on as it came, it
 * ends the process, puts its own bytes into another caller's answer, or makes a whole answer of half a one.
 */
import { describe, expect, test } from 'vitest'
import { ask, sendRaw } from '../harness/raw-client.ts'
import { startRawUpstream } from '../harness/upstream.ts'
import { withEachEngine } from '../proxy/engines.ts'
import { openSockets } from '../proxy/open-sockets.ts'
import { until } from '../proxy/proxy-server.ts'

const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'

withEachEngine(({ keep, proxyTo }) => {
  describe('what cannot be passed on is 502, and the next request is answered:', () => {
    test.each([
      ['what is no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
      ['status 000', 'HTTP/1.1 000 Nothing\r\ncontent-length: 0\r\n\r\n'],
      ['status 199', 'HTTP/1.1 600 Beyond\r\ncontent-length: 0\r\n\r\n'],
      ['status 999', 'HTTP/1.1 999 Beyond\r\ncontent-length: 0\r\n\r\n'],
      ['two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok'],
      [
        'a length beside chunked',
        'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      ],
      ['another encoding', 'HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
      ['an encoding that is not chunked', 'HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok'],
      [
        'two encodings',
        'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
      ],
      ['chunked on HTTP/1.0', 'HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'],
      ['an uninvited 101', 'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n'],
      ['an uninvited 101 without Upgrade', 'HTTP/1.1 101 Switching Protocols\r\n\r\n'],
      ['headers without end', `HTTP/1.1 200 OK\r\nx: ${'x'.repeat(100_000)}`],
      ['very many headers', `HTTP/1.1 200 OK\r\n${'a:\r\n'.repeat(1500)}content-length: 2\r\n\r\nok`],
    ])('%s', async (_, bytes) => {
      const upstream = await keep(
        startRawUpstream((socket, _received, connection) =>
          socket.write(connection === 0 ? bytes : 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok', 'latin1'),
        ),
      )
      const proxy = await proxyTo(upstream.url)
      const answer = await ask(proxy.port, get)
      expect(answer.status).toBe(502)
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'upstream_invalid_response' })
      expect((await ask(proxy.port, get)).body).toBe('ok')
    })
  })

  describe('what once ended the process is passed on without its sting:', () => {
    test.each([
      ['Trailer beside Content-Length', 'trailer: x-a'],
      ['a header called __proto__', '__proto__: polluted'],
      ['a reason that is not text', 'x: y'],
    ])('%s', async (_, header) => {
      const upstream = await keep(startRawUpstream(`HTTP/1.1 200 \x80\xff\r\n${header}\r\ncontent-length: 2\r\n\r\nok`))
      const proxy = await proxyTo(upstream.url)
      const answer = await ask(proxy.port, get)
      expect(answer).toMatchObject({ status: 200, body: 'ok' })
      expect(answer.rawHeaders).not.toContain('trailer')
      expect(answer.rawHeaders).not.toContain('__proto__')
    })
  })

  test('a reason that no answer can carry is left out', async () => {
    const upstream = await keep(startRawUpstream('HTTP/1.1 200 a\x01b\r\ncontent-length: 2\r\n\r\nok'))
    const proxy = await proxyTo(upstream.url)
    expect(await ask(proxy.port, get)).toMatchObject({ status: 200, reason: '', body: 'ok' })
  })

  describe('half an answer is not made a whole one:', () => {
    test.each([
      ['with a length', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'],
      ['chunked', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ])('%s', async (_, bytes) => {
      const upstream = await keep(startRawUpstream((socket) => socket.end(bytes)))
      const proxy = await proxyTo(upstream.url)
      const received = await sendRaw(proxy.port, get, { until: () => false })
      expect(received).not.toContain('0\r\n\r\n')
      await until(() => proxy.results.length === 1)
      expect(proxy.results[0]).toMatchObject({ code: 'upstream_unreachable' })
    })
  })

  describe('an answer that nobody asked for never goes to the next caller', () => {
    const evil = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil'
    const good = 'HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood'

    test('when it comes right behind the one that was asked for', async () => {
      const upstream = await keep(
        startRawUpstream((socket, _, connection) => socket.write(connection === 0 ? good + evil : good)),
      )
      const proxy = await proxyTo(upstream.url)
      expect((await ask(proxy.port, get)).body).toBe('good')
      expect((await ask(proxy.port, get)).body).toBe('good')
      expect(upstream.connections).toHaveLength(2)
    })

    test('when it comes while the connection is idle', async () => {
      let push = () => {}
      const upstream = await keep(
        startRawUpstream((socket, _, connection) => {
          socket.write(good)
          if (connection === 0) push = () => socket.write(evil)
        }),
      )
      const proxy = await proxyTo(upstream.url)
      expect((await ask(proxy.port, get)).body).toBe('good')
      push()
      await until(() => openSockets(proxy.upstream).length === 0)
      expect((await ask(proxy.port, get)).body).toBe('good')
      expect(upstream.connections).toHaveLength(2)
    })
  })

  test('no answer of the gateway tells the name of the upstream', async () => {
    const proxy = await proxyTo('http://127.0.0.1:1/secret-place')
    const received = await sendRaw(proxy.port, get)
    expect(received).toMatch(/^HTTP\/1\.1 502/)
    expect(received).not.toMatch(/127\.0\.0\.1|secret-place|ECONN/)
  })

  test('a name that does not resolve is 502', async () => {
    const proxy = await proxyTo('http://nowhere.invalid')
    expect((await ask(proxy.port, get)).status).toBe(502)
  })
})
