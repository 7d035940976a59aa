import { createServer, Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { listen } from '../harness/listen.ts'
import { withEachEngine } from './engines.ts'
import { openSockets } from './open-sockets.ts'
import { until } from './proxy-server.ts'

/** What one caller does, and what the upstream does with it. */
interface Act {
  readonly method: 'GET' | 'POST' | 'DELETE'
  readonly bytes: number
  readonly upstream: 'answers' | 'streams' | 'breaks' | 'breaks within' | 'closes' | 'closes later' | 'answers early'
  /** After so many milliseconds the caller goes away. */
  readonly leavesAfter: number | undefined
}

const act: fc.Arbitrary<Act> = fc.record({
  method: fc.constantFrom('GET', 'POST', 'DELETE'),
  bytes: fc.constantFrom(0, 3, 200_000),
  upstream: fc.constantFrom(
    ...[
      'answers',
      'answers',
      'answers',
      'streams',
      'breaks',
      'breaks within',
      'closes',
      'closes later',
      'answers early',
    ],
  ) as fc.Arbitrary<Act['upstream']>,
  leavesAfter: fc.option(fc.integer({ min: 0, max: 8 }), { nil: undefined, freq: 4 }),
})

/** Answers with the target of the request, over and over, in the way that the target asks for. */
function startNamingUpstream() {
  return listen(
    createServer((request, response) => {
      const name = `${request.url} `
      const way = new URL(name, 'http://x').searchParams.get('way')
      const { socket } = request
      request.on('error', () => {})
      if (way === 'answers early') {
        response.end(name.repeat(3))
        return
      }
      request.resume().on('end', () => {
        if (way === 'breaks') socket.destroy()
        else if (way === 'breaks within') {
          response.write(name)
          setImmediate(() => socket.destroy())
        } else if (way === 'streams') {
          response.write(name)
          setTimeout(() => response.end(name.repeat(5000)), 3)
        } else if (way === 'closes') response.setHeader('connection', 'close').end(name.repeat(3))
        else response.end(name.repeat(3))
        if (way === 'closes later') response.on('finish', () => setTimeout(() => socket.destroy(), 1))
      })
    }),
  )
}

withEachEngine(({ keep, proxyTo, engine }) => {
  /** Status and body of a whole answer; undefined of any other. */
  function play(port: number, agent: HttpAgent, path: string, { method, bytes, leavesAfter }: Act) {
    return new Promise<{ status: number; body: string } | undefined>((resolve) => {
      const headers = bytes > 0 ? { 'content-length': bytes } : {}
      const request = httpRequest({ agent, port, host: '127.0.0.1', method, path, headers })
      request.on('error', () => resolve(undefined))
      request.on('response', (incoming: IncomingMessage) => {
        const status = incoming.statusCode ?? 0
        text(incoming).then(
          (body) => resolve({ status, body }),
          () => resolve(undefined),
        )
      })
      request.end(Buffer.alloc(bytes, 'x'))
      if (leavesAfter !== undefined) setTimeout(() => request.destroy(), leavesAfter)
    })
  }

  test('whoever breaks off when, nobody is answered what another one asked, and nothing is left behind', {
    timeout: 60_000,
  }, async () => {
    const upstream = await keep(startNamingUpstream())
    const proxy = await proxyTo(`http://127.0.0.1:${upstream.port}`)
    const agent = new HttpAgent({ keepAlive: true, maxSockets: 24 })
    let sent = 0
    const seen = { whole: 0, refused: 0 }
    await fc.assert(
      fc.asyncProperty(fc.array(act, { minLength: 20, maxLength: 60 }), async (acts) => {
        await Promise.all(
          acts.map(async (each) => {
            const path = `/${sent++}?way=${encodeURIComponent(each.upstream)}`
            const answer = await play(proxy.port, agent, path, each)
            if (answer?.status === 200) {
              seen.whole++
              expect(new Set(answer.body.trim().split(' '))).toEqual(new Set([path]))
            } else if (answer) {
              seen.refused++
              expect([answer.status, JSON.parse(answer.body).code]).toEqual([502, 'upstream_unreachable'])
            }
          }),
        )
      }),
      { numRuns: 25 },
    )
    expect(seen.whole).toBeGreaterThan(100)
    expect(seen.refused).toBeGreaterThan(10)
    agent.destroy()
    proxy.upstream.close()
    await until(() => openSockets(proxy.upstream).length === 0)
    expect(proxy.upstream.kept.agent).toMatchObject({ totalSocketCount: 0 })
  })

  // The other engine sends none of the many requests in a gateway, and its own listeners show much sooner.
  const count = engine.name === 'node' ? 10_000 : 1000

  test(`${count} requests leave no connection, no listener and no warning behind`, { timeout: 120_000 }, async () => {
    const upstream = await keep(
      listen(createServer((request, response) => request.resume().on('end', () => response.end('ok')))),
    )
    const proxy = await proxyTo(`http://127.0.0.1:${upstream.port}`)
    const agent = new HttpAgent({ keepAlive: true, maxSockets: 16 })
    const warnings: Error[] = []
    const note = (warning: Error) => void warnings.push(warning)
    process.on('warning', note)
    const once = (method: Act['method'], bytes: number) =>
      play(proxy.port, agent, '/', { method, bytes, upstream: 'answers', leavesAfter: undefined })
    const many = async (requests: number) => {
      let left = requests
      const caller = async () => {
        while (left-- > 0) expect((await once(left % 4 ? 'GET' : 'POST', left % 4 ? 0 : 10))?.body).toBe('ok')
      }
      await Promise.all(Array.from({ length: 16 }, caller))
      await until(() => Object.keys(proxy.upstream.kept.agent.sockets).length === 0)
    }
    const listeners = () =>
      openSockets(proxy.upstream).map((socket) =>
        JSON.stringify(socket.eventNames().map((name) => [String(name), socket.listenerCount(name)])),
      )
    await many(100)
    // Each client of an engine has a way of its own to listen to them.
    const before = new Set(listeners())
    await many(count - 100)
    process.off('warning', note)
    expect(warnings).toEqual([])
    expect(listeners().length).toBeLessThanOrEqual(32)
    for (const each of listeners()) expect(before).toContain(each)
    agent.destroy()
    proxy.upstream.close()
    await until(() => openSockets(proxy.upstream).length === 0)
  })
})
