import { createServer, request as httpRequest } from 'node:http'
import { expect, test } from 'vitest'
import type { Attempt } from '../../src/proxy/attempt.ts'
import type { Engine } from '../../src/proxy/engine.ts'
import { nodeEngine } from '../../src/proxy/node-engine.ts'
import { answerOf } from '../../src/proxy/upstream-answer.ts'
import { createTestClock } from '../harness/clock.ts'
import { listen } from '../harness/listen.ts'
import { ask } from '../harness/raw-client.ts'
import { startUpstream } from '../harness/upstream.ts'
import { createKeeper } from './keep.ts'
import { openSockets } from './open-sockets.ts'
import { until } from './proxy-server.ts'

const { keep, proxyTo } = createKeeper()
const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'

test('an engine that fails before it has begun is told, once, that it is over', async () => {
  const ends: boolean[] = []
  const engine: Engine = {
    name: 'failing',
    start(attempt) {
      attempt.onError(Object.assign(new Error('at once'), { code: 'ECONNREFUSED' }))
      attempt.onError(new Error('and again'))
      return (isWhole) => ends.push(isWhole)
    },
  }
  const clock = createTestClock()
  const proxy = await proxyTo('http://127.0.0.1:9', { engine, clock })
  expect((await ask(proxy.port, get)).status).toBe(502)
  expect(ends).toEqual([false])
  expect(proxy.results).toMatchObject([{ code: 'upstream_unreachable', options: { reason: 'ECONNREFUSED' } }])
  expect(clock.pendingTimers()).toBe(0)
})

test('a request that cannot be written is 500, and the process goes on', async () => {
  const upstream = await keep(startUpstream())
  const proxy = await proxyTo(upstream.url, { policy: { upstreamHost: 'a\r\nb' }, engine: nodeEngine })
  expect((await ask(proxy.port, get)).status).toBe(500)
  expect(proxy.results).toMatchObject([{ code: 'internal_error' }])
  expect(upstream.requests).toHaveLength(0)
  expect(openSockets(proxy.upstream)).toEqual([])
})

test('what an engine brings after the end is ended, be it a connection, an answer or an error', async () => {
  const attempts: Attempt[] = []
  const ends: boolean[] = []
  const engine: Engine = {
    name: 'late',
    start(attempt) {
      attempts.push(attempt)
      return (isWhole) => ends.push(isWhole)
    },
  }
  const clock = createTestClock()
  const proxy = await proxyTo({ url: 'http://127.0.0.1:9', timeouts: { connect: '2s' } }, { engine, clock })
  const answer = ask(proxy.port, get)
  await until(() => attempts.length === 1)
  await clock.advance(2000)
  expect((await answer).status).toBe(504)
  const [attempt] = attempts
  expect(attempt?.isOver()).toBe(true)

  const endless = createServer((_, response) => void response.write('without end'))
  const { port } = await keep(listen(endless))
  const outgoing = httpRequest({ port, host: '127.0.0.1' }).on('error', () => {})
  await new Promise((resolve) => outgoing.on('socket', resolve))
  attempt?.onConnection(outgoing)
  expect(outgoing.destroyed).toBe(true)

  const other = httpRequest({ port, host: '127.0.0.1' }).on('error', () => {})
  const closed = new Promise((resolve) => {
    other.on('response', (incoming) => {
      attempt?.onAnswer(answerOf(incoming))
      incoming.on('close', resolve)
    })
  })
  other.end()
  await closed
  attempt?.onError(new Error('late'))
  expect(ends).toEqual([false])
  expect(proxy.results).toHaveLength(1)
  expect(clock.pendingTimers()).toBe(0)
})
