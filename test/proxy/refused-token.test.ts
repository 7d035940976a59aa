import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { GatewayError } from '../../src/base/errors.ts'
import { createBodyBudget } from '../../src/proxy/kept-body.ts'
import { readTokenRefusal } from '../../src/proxy/refused-token.ts'
import { createTestClock } from '../harness/clock.ts'
import { listen } from '../harness/listen.ts'
import { ask, sendRaw } from '../harness/raw-client.ts'
import { startRawUpstream, startUpstream, type Upstream, type UpstreamHandler } from '../harness/upstream.ts'
import { withEachEngine } from './engines.ts'
import { type ProxyServerOptions, until } from './proxy-server.ts'

const fresh = { host: 'x', authorization: 'Bearer fresh' }
const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'
const post = (body: string) => `POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${body.length}\r\n\r\n${body}`
const problem = (body: string) => JSON.parse(body) as { code: string }

/** Refuses every token but the fresh one, and answers what it saw of a request with that. */
const refusing: UpstreamHandler = (request, response, seen) => {
  request.resume()
  request.on('end', () => {
    if (seen.headers.authorization === fresh.authorization) response.end(`${seen.method} ${seen.body()}`)
    else response.writeHead(401, { 'www-authenticate': 'Bearer error="invalid_token"' }).end('refused')
  })
}

interface Wish extends Partial<ProxyServerOptions> {
  readonly handler?: UpstreamHandler
  readonly replayBody?: string
  readonly reauthorize?: () => Promise<Record<string, string> | undefined>
}

test('a challenge made to be read slowly is read at once', () => {
  const begin = performance.now()
  for (const value of [
    'a'.repeat(200_000),
    `${'a '.repeat(100_000)}=`,
    '"'.repeat(200_001),
    `Bearer a="${'\\'.repeat(200_000)}`,
  ])
    readTokenRefusal({ statusCode: 401, rawHeaders: ['WWW-Authenticate', value] })
  expect(performance.now() - begin).toBeLessThan(500)
})

withEachEngine(({ keep, proxyTo }) => {
  /** A proxy on a token route, before an upstream that refuses the first token. `asked` counts the questions for another. */
  async function startRoute({ handler = refusing, replayBody = '16KiB', reauthorize, ...options }: Wish = {}) {
    const upstream = await keep(startUpstream(handler))
    const asked: unknown[] = []
    const proxy = await proxyTo(
      { url: upstream.url, replay_body: replayBody },
      {
        ...options,
        forward: {
          ...options.forward,
          reauthorize: async () => {
            asked.push(upstream.requests.length)
            const headers = reauthorize ? await reauthorize() : fresh
            return headers && { headers }
          },
        },
      },
    )
    return { upstream, proxy, asked }
  }

  function answerRefusal(...challenges: string[]): UpstreamHandler {
    return (request, response, seen) => {
      request.resume()
      if (seen.headers.authorization === fresh.authorization) response.end('welcome')
      else response.writeHead(401, { ...(challenges.length > 0 && { 'www-authenticate': challenges }) }).end('who?')
    }
  }

  describe("a 401 is the gateway's own trouble, and the caller never sees it,", () => {
    test.each([
      ['without a challenge', []],
      ['with an empty one', ['']],
      ['with Bearer', ['Bearer']],
      ['with bearer', ['bearer']],
      ['with Bearer and a reason', ['Bearer realm="a, b", error = "invalid_token", error_description="expired"']],
      ['with DPoP', ['DPoP algs="ES256 EdDSA", error="use_dpop_nonce"']],
      ['with Basic and Bearer in one line', ['Basic realm="x", Bearer realm="x"']],
      ['with Negotiate and a token68, and then Bearer', ['Negotiate abc==, Bearer']],
      ['with Basic and Bearer in two lines', ['Basic realm="x"', 'Bearer']],
    ])('%s', async (_, challenges) => {
      const { upstream, proxy, asked } = await startRoute({ handler: answerRefusal(...challenges) })
      expect(await ask(proxy.port, get)).toMatchObject({ status: 200, body: 'welcome' })
      expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual([undefined, 'Bearer fresh'])
      expect(asked).toHaveLength(1)
    })
  })

  describe('passes untouched:', () => {
    test.each([
      ['a 401 with Basic', 401, ['Basic realm="x"']],
      ['a 401 with a scheme of its own', 401, ['Negotiate']],
      ['a 401 with a word of it in quotes', 401, ['Basic realm="x, Bearer, DPoP"']],
      ['a 401 with a quote in the quotes', 401, ['Basic realm="\\", Bearer"']],
      ['a 401 with a quote that never ends', 401, ['Basic realm="x, Bearer']],
      ['a 401 with a parameter of that name', 401, ['Custom a=1, Bearer = 2']],
      ['a 401 for too little scope', 401, ['Bearer realm="x", error="insufficient_scope"']],
      ['a 401 for too little scope, unquoted, in the second line', 401, ['DPoP', 'Bearer error=insufficient_scope']],
      ['a 403 for too little scope', 403, ['Bearer error="insufficient_scope", scope="a b"']],
      ['a 403 without a challenge', 403, []],
    ])('%s', async (_, status, challenges) => {
      const { upstream, proxy, asked } = await startRoute({
        handler: (_request, response) =>
          response
            .writeHead(status, 'Go away', {
              ...(challenges.length > 0 && { 'www-authenticate': challenges }),
              'x-why': 'so',
            })
            .end('not you'),
      })
      const answer = await ask(proxy.port, get)
      expect(answer).toMatchObject({ status, reason: 'Go away', body: 'not you', headers: { 'x-why': 'so' } })
      expect(answer.headers['www-authenticate']).toBe(challenges.length > 0 ? challenges.join(', ') : undefined)
      expect([upstream.requests.length, asked.length]).toEqual([1, 0])
    })

    test('every 401 where no token of the gateway went out', async () => {
      const upstream = await keep(startUpstream(refusing))
      const proxy = await proxyTo(upstream.url)
      const answer = await ask(proxy.port, get)
      expect(answer).toMatchObject({ status: 401, body: 'refused' })
      expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token"')
    })
  })

  describe('a request is sent again', () => {
    test.each([
      ['without a body', get, 'GET '],
      ['with a body of no bytes', post(''), 'POST '],
      ['with a small body', post('small'), 'POST small'],
      ['with a body as large as may be', post('a'.repeat(1024)), `POST ${'a'.repeat(1024)}`],
    ])('%s', async (_, bytes, body) => {
      const { upstream, proxy } = await startRoute({ replayBody: '1KiB' })
      expect(await ask(proxy.port, bytes)).toMatchObject({ status: 200, body })
      expect(upstream.requests.map(({ headers }) => headers['content-length'])).toEqual(
        Array(2).fill(bytes === get ? undefined : String(body.length - 5)),
      )
      expect(upstream.requests.every((seen) => seen.complete())).toBe(true)
    })

    test('by HEAD', async () => {
      const { upstream, proxy } = await startRoute()
      expect((await ask(proxy.port, get.replace('GET', 'HEAD'), { head: true })).status).toBe(200)
      expect(upstream.requests.map(({ method }) => method)).toEqual(['HEAD', 'HEAD'])
    })

    test('with a body for which the caller waited for 100 Continue', async () => {
      const { proxy } = await startRoute()
      const head = 'POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n'
      let received = ''
      const socket = connect(proxy.port, '127.0.0.1', () => socket.write(head))
      socket.on('data', (piece: Buffer) => {
        received += piece
      })
      await until(() => received.startsWith('HTTP/1.1 100 Continue\r\n\r\n'))
      socket.write('body')
      await until(() => received.includes('POST body'))
      socket.destroy()
      expect(received.match(/100 Continue/g)).toHaveLength(1)
    })

    test('over the same connection, and the next one too', async () => {
      const connections = new Set<unknown>()
      const clock = createTestClock()
      const { proxy } = await startRoute({
        clock,
        handler: (request, response, seen) => {
          connections.add(request.socket)
          refusing(request, response, seen)
        },
      })
      expect((await ask(proxy.port, post('one'))).body).toBe('POST one')
      expect((await ask(proxy.port, post('two'))).body).toBe('POST two')
      expect(connections.size).toBe(1)
      await until(() => proxy.results.length === 2)
      expect(clock.pendingTimers()).toBe(0)
    })

    test('with a body that comes slowly, piece by piece', async () => {
      const clock = createTestClock()
      const { upstream, proxy } = await startRoute({ clock, forward: { bodyIdle: 10_000 } })
      let received = ''
      const socket = connect(proxy.port, '127.0.0.1', () =>
        socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 8\r\n\r\n'),
      )
      socket.on('data', (piece: Buffer) => {
        received += piece
      })
      await until(() => clock.pendingTimers() === 1)
      for (const letter of 'abcdefgh') {
        socket.write(letter)
        await new Promise((resolve) => setTimeout(resolve, 20))
        await clock.advance(letter === 'h' ? 0 : 9000)
      }
      await until(() => received.includes('POST abcdefgh'))
      socket.destroy()
      expect(upstream.requests.map((seen) => seen.body().toString())).toEqual(['abcdefgh', 'abcdefgh'])
    })
  })

  async function expectSentOnce(upstream: Upstream, answer: { status: number; body: string }): Promise<void> {
    expect(answer.status).toBe(502)
    expect(problem(answer.body).code).toBe('upstream_refused_token')
    expect(answer.body).not.toContain('refused"')
    expect(upstream.requests).toHaveLength(1)
  }

  describe('a request is sent once, answered 502, and another token is asked for all the same,', () => {
    test.each([
      ['with a body that is larger than may be', post('a'.repeat(1025))],
      ['with a chunked body', 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n'],
    ])('%s', async (_, bytes) => {
      const { upstream, proxy, asked } = await startRoute({ replayBody: '1KiB' })
      await expectSentOnce(upstream, await ask(proxy.port, bytes))
      expect(asked).toHaveLength(1)
    })

    test('with any body where none is to be kept', async () => {
      const { upstream, proxy, asked } = await startRoute({ replayBody: 'none' })
      await expectSentOnce(upstream, await ask(proxy.port, post('a')))
      expect(asked).toHaveLength(1)
    })

    test('when there is no other token', async () => {
      const { upstream, proxy, asked } = await startRoute({ reauthorize: async () => undefined })
      await expectSentOnce(upstream, await ask(proxy.port, get))
      expect(asked).toHaveLength(1)
    })

    test('when the authorization server has none to give', async () => {
      const cause = new GatewayError('authorization_server_unavailable', { retryAfterSeconds: 5 })
      const { upstream, proxy } = await startRoute({ reauthorize: () => Promise.reject(cause) })
      await expectSentOnce(upstream, await ask(proxy.port, get))
      expect(proxy.results[0]).toMatchObject({ code: 'upstream_refused_token', cause })
    })
  })

  test('what goes wrong in the gateway itself meanwhile is 500', async () => {
    const { proxy } = await startRoute({ reauthorize: () => Promise.reject(new Error('unforeseen')) })
    expect((await ask(proxy.port, get)).status).toBe(500)
  })

  test('a request whose second token is refused too is 502, and is not sent a third time', async () => {
    const { upstream, proxy, asked } = await startRoute({
      handler: (request, response) => void request.resume().on('end', () => response.writeHead(401).end()),
    })
    const answer = await ask(proxy.port, post('body'))
    expect([answer.status, problem(answer.body).code]).toEqual([502, 'upstream_refused_token'])
    expect(upstream.requests.map((seen) => seen.body().toString())).toEqual(['body', 'body'])
    expect(asked).toHaveLength(1)
    expect(answer.headers).not.toHaveProperty('www-authenticate')
  })

  describe('an upstream that refuses a request whose body it has not read', () => {
    test('gets a small one again', async () => {
      const { proxy } = await startRoute({
        handler: (request, response, seen) => {
          if (seen.headers.authorization) return refusing(request, response, seen)
          response.writeHead(401).end()
        },
      })
      expect(await ask(proxy.port, post('small'))).toMatchObject({ status: 200, body: 'POST small' })
    })

    test('ends a large one, with its connection', async () => {
      let closed = false
      const upstream = await keep(
        startRawUpstream((socket, received, connection) => {
          if (connection > 0 || !received.endsWith('\r\n\r\n')) return
          socket.on('close', () => {
            closed = true
          })
          socket.write('HTTP/1.1 401 No\r\ncontent-length: 0\r\n\r\n')
        }),
      )
      const proxy = await proxyTo(upstream.url, { forward: { reauthorize: async () => ({ headers: fresh }) } })
      const answer = await ask(proxy.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1000000\r\n\r\n')
      expect([answer.status, problem(answer.body).code]).toEqual([502, 'upstream_refused_token'])
      await until(() => closed)
    })
  })

  describe('the answer that is dropped', () => {
    test('is not read on for ever when it is long', async () => {
      let cut = false
      const { proxy } = await startRoute({
        clock: createTestClock(),
        handler: (request, response, seen) => {
          if (seen.headers.authorization) return refusing(request, response, seen)
          response.on('close', () => {
            cut = !response.writableFinished
          })
          response.writeHead(401).write('x'.repeat(10_000_000))
        },
      })
      expect((await ask(proxy.port, get)).status).toBe(200)
      await until(() => cut)
    })

    test('is not waited for when it never ends', async () => {
      let cut = false
      const clock = createTestClock()
      const { proxy } = await startRoute({
        clock,
        handler: (request, response, seen) => {
          if (seen.headers.authorization) return refusing(request, response, seen)
          response.on('close', () => {
            cut = true
          })
          response.writeHead(401).write('begun')
        },
      })
      expect((await ask(proxy.port, get)).status).toBe(200)
      expect(cut).toBe(false)
      await clock.advance(2000)
      await until(() => cut)
      expect(clock.pendingTimers()).toBe(0)
    })

    test('must still have one length', async () => {
      const twoLengths = 'HTTP/1.1 401 No\r\ncontent-length: 0\r\ncontent-length: 1\r\n\r\n'
      const upstream = await keep(startRawUpstream(twoLengths))
      const proxy = await proxyTo(upstream.url, { forward: { reauthorize: async () => ({ headers: fresh }) } })
      expect(problem((await ask(proxy.port, get)).body).code).toBe('upstream_invalid_response')
      expect(upstream.connections).toHaveLength(1)
    })
  })

  describe('a caller that goes away', () => {
    test('while another token is asked for is not sent again', async () => {
      const { promise, resolve } = Promise.withResolvers<typeof fresh>()
      const { upstream, proxy, asked } = await startRoute({ reauthorize: () => promise })
      const socket = connect(proxy.port, '127.0.0.1', () => socket.write(get))
      await until(() => asked.length === 1)
      socket.destroy()
      await new Promise((resolve) => setTimeout(resolve, 50))
      resolve(fresh)
      await until(() => proxy.results.length === 1)
      expect(proxy.results[0]).toMatchObject({ code: 'caller_gone' })
      expect(upstream.requests).toHaveLength(1)
    })

    test('within a body that is kept leaves nothing behind, and the upstream hears nothing of it', async () => {
      const clock = createTestClock()
      const budget = createBodyBudget(9)
      const { upstream, proxy } = await startRoute({ clock, bodyBudget: budget })
      const socket = connect(proxy.port, '127.0.0.1', () =>
        socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf'),
      )
      await until(() => clock.pendingTimers() === 1)
      expect(budget.take(1)).toBeUndefined()
      socket.destroy()
      await until(() => proxy.results.length === 1)
      expect(proxy.results[0]).toMatchObject({ code: 'caller_gone' })
      expect(upstream.requests).toHaveLength(0)
      expect(clock.pendingTimers()).toBe(0)
      expect(budget.take(9)).toBeDefined()
    })
  })

  test('a caller that is silent within a body that is kept is 408, and the upstream hears nothing of it', async () => {
    const clock = createTestClock()
    const { upstream, proxy } = await startRoute({ clock, forward: { bodyIdle: 10_000 } })
    const received = sendRaw(proxy.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf', {
      until: () => false,
    })
    await until(() => clock.pendingTimers() === 1)
    await new Promise((resolve) => setTimeout(resolve, 20))
    await clock.advance(10_000)
    expect(await received).toMatch(/^HTTP\/1\.1 408 .*connection: close/s)
    expect(upstream.requests).toHaveLength(0)
  })

  test('an upstream that does not answer a request with a kept body is 504 after its time', async () => {
    const clock = createTestClock()
    const { upstream, proxy } = await startRoute({ clock, handler: (request) => void request.resume() })
    const answer = ask(proxy.port, post('body'))
    await until(() => upstream.requests[0]?.complete() === true)
    await clock.advance(29_999)
    expect(proxy.results).toEqual([])
    await clock.advance(1)
    expect((await answer).status).toBe(504)
    expect(clock.pendingTimers()).toBe(0)
  })

  test('an upstream that takes no more of a kept body is 504, once it was silent for as long as it may be', async () => {
    const sockets: Socket[] = []
    const deaf = await keep(listen(createServer((socket) => void sockets.push(socket.pause()))))
    const clock = createTestClock()
    const proxy = await proxyTo(
      { url: `http://127.0.0.1:${deaf.port}`, replay_body: '32MiB' },
      { clock, forward: { reauthorize: async () => ({ headers: fresh }) } },
    )
    const answer = ask(proxy.port, post('x'.repeat(20_000_000)))
    await until(() => sockets.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await clock.advance(59_999)
    expect(proxy.results).toEqual([])
    await clock.advance(1)
    expect((await answer).status).toBe(504)
  })

  describe('the memory for kept bodies', () => {
    test('is bounded: what finds no room is streamed, sent once, and answered 502', async () => {
      const waiting: (() => void)[] = []
      const { upstream, proxy } = await startRoute({
        bodyBudget: createBodyBudget(10),
        handler: (request, response, seen) => {
          if (seen.headers.authorization || request.url !== '/wait') return refusing(request, response, seen)
          waiting.push(() => refusing(request, response, seen))
        },
      })
      const first = ask(proxy.port, post('ten bytes!').replace('/', '/wait'))
      await until(() => waiting.length === 1)
      const second = await ask(proxy.port, post('more'))
      expect([second.status, upstream.requests.length]).toEqual([502, 2])
      waiting[0]?.()
      expect(await first).toMatchObject({ status: 200, body: 'POST ten bytes!' })
      expect(await ask(proxy.port, post('more'))).toMatchObject({ status: 200, body: 'POST more' })
    })

    test('is given back, however a request ends', async () => {
      const budget = createBodyBudget(100)
      const { proxy } = await startRoute({ bodyBudget: budget, handler: (request) => request.socket.destroy() })
      for (let turn = 0; turn < 5; turn++) expect((await ask(proxy.port, post('a'.repeat(90)))).status).toBe(502)
      expect(budget.take(100)).toBeDefined()
    })

    test('is not used where no token goes out: such bodies stream', async () => {
      const upstream = await keep(startUpstream())
      const budget = createBodyBudget(100)
      const proxy = await proxyTo(upstream.url, { bodyBudget: budget })
      const socket = connect(proxy.port, '127.0.0.1', () =>
        socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nhalf'),
      )
      await until(() => upstream.requests[0]?.body().toString() === 'half')
      expect(budget.take(100)).toBeDefined()
      socket.destroy()
    })
  })
})
