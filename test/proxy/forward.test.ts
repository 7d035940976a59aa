import { createServer } from 'node:http'
import { describe, expect, test } from 'vitest'
import { GatewayError } from '../../src/base/errors.ts'
import { listen } from '../harness/listen.ts'
import { ask, parseAnswers, sendRaw } from '../harness/raw-client.ts'
import { startRawUpstream, startUpstream } from '../harness/upstream.ts'
import { withEachEngine } from './engines.ts'

const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nhost: api.example.com\r\n${more}\r\n`

withEachEngine(({ keep, proxyTo }) => {
  describe('a request', () => {
    test('reaches the upstream with method, path, query and body, and its answer comes back', async () => {
      const upstream = await keep(startUpstream())
      const proxy = await proxyTo(upstream.url)
      const answer = await ask(proxy.port, 'POST /a/b?c=d HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nhello')
      expect(answer.status).toBe(200)
      expect(JSON.parse(answer.body)).toMatchObject({ method: 'POST', url: '/a/b?c=d', body: 'hello' })
      expect(proxy.results).toEqual([{ status: 200 }])
    })

    test.each(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PROPFIND'])(
      'keeps one connection for two %s',
      async (method) => {
        const upstream = await keep(
          startRawUpstream((socket, received) => {
            if (received.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 204 No Content\r\n\r\n')
          }),
        )
        const proxy = await proxyTo(upstream.url)
        for (let turn = 0; turn < 2; turn++) await ask(proxy.port, `${method} / HTTP/1.1\r\nhost: x\r\n\r\n`)
        expect(upstream.connections).toHaveLength(1)
        expect(upstream.connections[0]).not.toMatch(/transfer-encoding/i)
      },
    )

    test('is sent with the path that was asked for, byte for byte', async () => {
      const upstream = await keep(
        startRawUpstream((socket, received) => {
          if (received.endsWith('\r\n\r\n')) socket.write('HTTP/1.1 204 No Content\r\n\r\n')
        }),
      )
      const proxy = await proxyTo(upstream.url)
      const paths = [
        '/',
        '//',
        '//x',
        '/a//b/',
        '/./a/../b',
        '/%2e%2e/%2F?a=%20&b=//../',
        '/a;b=c',
        '/?',
        '/a\'b|c"d',
        '/a?b?c',
        '//evil.example/x',
      ]
      for (const path of paths) await ask(proxy.port, get(path))
      const seen = upstream.connections.join('').match(/(?<=GET )[^ ]*(?= HTTP)/g)
      expect(seen).toEqual(paths)
    })
  })

  describe('an answer', () => {
    test('passes with its status, reason, header spelling, repeated headers and high bytes', async () => {
      const upstream = await keep(
        startRawUpstream(
          'HTTP/1.1 299 Quite Fine\r\nX-CamelCase: \xe9t\xe9\r\nSet-Cookie: a=1\r\nset-cookie: b=2\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nok',
        ),
      )
      const proxy = await proxyTo(upstream.url)
      const answer = await ask(proxy.port, get('/'))
      expect(answer).toMatchObject({ status: 299, reason: 'Quite Fine', body: 'ok' })
      expect(answer.rawHeaders.slice(0, 10)).toEqual([
        'X-CamelCase',
        '\xe9t\xe9',
        'Set-Cookie',
        'a=1',
        'set-cookie',
        'b=2',
        'Date',
        'Thu, 01 Jan 1970 00:00:00 GMT',
        'Content-Length',
        '2',
      ])
    })

    test('to HEAD keeps the length of what GET would give', async () => {
      const upstream = await keep(startRawUpstream('HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n'))
      const proxy = await proxyTo(upstream.url)
      const answer = await ask(proxy.port, 'HEAD / HTTP/1.1\r\nhost: x\r\n\r\n', { head: true })
      expect(answer.headers['content-length']).toBe('1234')
    })

    test.each([
      ['chunked', 'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n', 'transfer-encoding'],
      ['with a length', 'Content-Length: 2\r\n\r\nok', 'content-length'],
    ])('that is %s has exactly one length', async (_, bytes, header) => {
      const upstream = await keep(startRawUpstream(`HTTP/1.1 200 OK\r\n${bytes}`))
      const proxy = await proxyTo(upstream.url)
      const answer = await ask(proxy.port, get('/'))
      expect(answer.body).toBe('ok')
      expect(['transfer-encoding', 'content-length'].filter((name) => name in answer.headers)).toEqual([header])
    })

    test('that lasts until the upstream closes is framed for the caller', async () => {
      const upstream = await keep(startRawUpstream((socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nuntil the end')))
      const proxy = await proxyTo(upstream.url)
      expect(await ask(proxy.port, get('/'))).toMatchObject({ body: 'until the end', complete: true })
    })

    test('to a caller of HTTP/1.0 ends with the connection', async () => {
      const upstream = await keep(
        startRawUpstream('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n'),
      )
      const proxy = await proxyTo(upstream.url)
      const received = await sendRaw(proxy.port, 'GET / HTTP/1.0\r\n\r\n', { until: () => false })
      expect(received).not.toMatch(/transfer-encoding/i)
      expect(received).toMatch(/\r\n\r\nok$/)
    })

    test('says close to a caller that asked for close', async () => {
      const upstream = await keep(
        startRawUpstream('HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nok'),
      )
      const proxy = await proxyTo(upstream.url)
      const answer = await ask(proxy.port, get('/', 'connection: close\r\n'))
      expect(answer.headers.connection).toBe('close')
    })

    test('begins before it ends: events come one by one', async () => {
      const upstream = await keep(
        startUpstream((_, response) => {
          response.writeHead(200, { 'content-type': 'text/event-stream' })
          response.flushHeaders()
        }),
      )
      const proxy = await proxyTo(upstream.url)
      const received = await sendRaw(proxy.port, get('/'), { until: (text) => text.includes('\r\n\r\n') })
      expect(received).toContain('text/event-stream')
    })

    test('comes after interim ones, which are not passed on', async () => {
      const upstream = await keep(
        startRawUpstream(
          'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok',
        ),
      )
      const proxy = await proxyTo(upstream.url)
      const received = await sendRaw(proxy.port, get('/'))
      expect(received).toMatch(/^HTTP\/1\.1 200 OK/)
    })

    test('does not pass on what concerns the connection', async () => {
      const upstream = await keep(
        startRawUpstream(
          'HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=77\r\nUpgrade: h2c\r\nProxy-Authenticate: Basic\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n',
        ),
      )
      const proxy = await proxyTo(upstream.url)
      const answer = await ask(proxy.port, get('/'))
      for (const name of ['x-hop', 'upgrade', 'proxy-authenticate', 'trailer', 'x-t'])
        expect(answer.headers).not.toHaveProperty(name)
      expect(answer.headers['keep-alive']).not.toContain('77')
      expect(answer.body).toBe('ok')
    })

    test('of 204 has no length', async () => {
      const upstream = await keep(startRawUpstream('HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n'))
      const proxy = await proxyTo(upstream.url)
      const answer = await ask(proxy.port, get('/'))
      expect(answer.headers).not.toHaveProperty('content-length')
      expect(answer.headers).not.toHaveProperty('transfer-encoding')
    })
  })

  test('a body with Expect: 100-continue is asked for once there is a connection, and Expect stays here', async () => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url)
    const received = await sendRaw(
      proxy.port,
      'POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nok',
    )
    expect(received).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
    expect(upstream.requests[0]?.headers).not.toHaveProperty('expect')
    expect(upstream.requests[0]?.body().toString()).toBe('ok')
  })

  test('a body is not asked for when the upstream is not there, and the connection ends', async () => {
    const upstream = await keep(startUpstream())
    await upstream.stop()
    const proxy = await proxyTo(upstream.url)
    const received = await sendRaw(
      proxy.port,
      'POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n',
      { until: () => false },
    )
    expect(received).toMatch(/^HTTP\/1\.1 502/)
    expect(received).toMatch(/\r\nconnection: close\r\n/i)
  })

  test('two requests on one connection get their answers in order', async () => {
    const upstream = await keep(startUpstream((request, response) => response.end(request.url)))
    const proxy = await proxyTo(upstream.url)
    const received = await sendRaw(proxy.port, get('/first') + get('/second'), {
      until: (text) => parseAnswers(text).length === 2,
    })
    expect(parseAnswers(received).map((answer) => answer.body)).toEqual(['/first', '/second'])
  })

  test('an upstream that answers before the body is there: the answer comes, and the rest of the body is dropped', async () => {
    const upstream = await keep(
      startUpstream((_, response) => {
        response.writeHead(413)
        response.end('too much')
      }),
    )
    const proxy = await proxyTo(upstream.url)
    const received = await sendRaw(
      proxy.port,
      `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3000000\r\n\r\n${'x'.repeat(3000000)}${get('/next')}`,
      { until: (text) => parseAnswers(text).length === 2 },
    )
    expect(parseAnswers(received).map((answer) => answer.status)).toEqual([413, 413])
  })

  test('a body streams both ways while the answer has begun', async () => {
    const upstream = await keep(
      startUpstream((request, response) => {
        response.flushHeaders()
        request.pipe(response)
      }),
    )
    const proxy = await proxyTo(upstream.url)
    const body = 'x'.repeat(200_000)
    const answer = await ask(proxy.port, `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    expect(answer.body).toBe(body)
  })

  test('a body that somebody read before is a clear error', async () => {
    const proxy = await proxyTo('http://127.0.0.1:9')
    let failure: unknown
    const server = await keep(
      listen(
        createServer((request, response) => {
          request
            .on('data', () => {})
            .on('end', async () => {
              const framing = { kind: 'length', length: 2 } as const
              failure = await proxy.forwarder
                .forward({
                  request,
                  response,
                  upstream: proxy.upstream,
                  path: '/',
                  headers: {},
                  framing,
                  bodyIdle: 1000,
                  sendContinue: false,
                })
                .catch((error) => error)
              response.end()
            })
        }),
      ),
    )
    await ask(server.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok')
    expect(failure).toBeInstanceOf(GatewayError)
    expect(failure).toMatchObject({ code: 'body_already_read' })
  })

  test('a body over the limit is refused at once if its length says so, and else when it is reached', async () => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url, { forward: { bodyLimit: 4 } })
    expect((await ask(proxy.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n')).status).toBe(413)
    expect(upstream.requests).toHaveLength(0)
    expect(
      (await ask(proxy.port, 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'))
        .status,
    ).toBe(413)
    expect((await ask(proxy.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nhell')).status).toBe(200)
  })
})
