/*
 * The attack: a caller does not wait for an answer before it sends its next request on the same connection. What the
 * gateway says of the second one then reaches the caller as the answer to the first; or thousands of requests go to the
 * service behind over a single connection, past every limit on connections. And a connection that was refused, or given
 * up, still carries a request that gets through: the caller is told no, and the work is done all the same.
 */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { parseAnswers, sendRaw } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'
import { socketRequest } from '../harness/web-socket.ts'

let upstream: Upstream
const running: RunningGateway[] = []

beforeAll(async () => {
  upstream = await startUpstream()
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((gateway) => gateway.stop()))
})
afterAll(() => upstream.stop())

async function start(limits = ''): Promise<RunningGateway> {
  const gateway = await startGateway(`
listeners: { main: { timeouts: { headers: 1s } ${limits} } }
routes:
  - { path: "/**", public: true, upstream: "${upstream.url}" }
`)
  running.push(gateway)
  return gateway
}

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

/** Answers after a while, so that what follows on the connection comes before. */
function answerSlowly(): { most: () => number } {
  let now = 0
  let most = 0
  upstream.answer(async (request, response) => {
    most = Math.max(most, ++now)
    await sleep(30)
    now--
    response.end(`this is ${request.url}`)
  })
  return { most: () => most }
}

describe('requests that do not wait for one another', () => {
  it('are answered in their order, one after the other', async () => {
    const { most } = answerSlowly()
    const gateway = await start()
    const received = await sendRaw(gateway.port, ['/1', '/2', '/3', '/4'].map(get).join(''), {
      until: (text) => parseAnswers(text).length === 4 && text.includes('/4'),
    })
    expect(parseAnswers(received).map(({ body }) => body)).toEqual([
      'this is /1',
      'this is /2',
      'this is /3',
      'this is /4',
    ])
    expect(most()).toBe(1)
  })

  it('do not get a refusal for the answer to another one', async () => {
    answerSlowly()
    const gateway = await start()
    const bad = 'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n'
    const received = await sendRaw(gateway.port, get('/slow') + bad)
    expect(received).not.toContain('400')
  })

  it('that are none do not keep the answer from the one before, unless they go on', async () => {
    const waiting: ServerResponse[] = []
    upstream.answer((_request, response) => waiting.push(response))
    const gateway = await start()
    const answered = sendRaw(gateway.port, `${get('/one')}\0`)
    while (waiting.length === 0) await sleep(5)
    waiting[0]?.end('one')
    expect(parseAnswers(await answered)[0]).toMatchObject({
      status: 200,
      body: 'one',
      headers: { connection: 'close' },
    })

    const socket = connect(gateway.port, '127.0.0.1').on('error', () => {})
    socket.write(`${get('/two')}\0`)
    while (waiting.length === 1) await sleep(5)
    socket.write('\0')
    await once(socket, 'close')
    expect(socket.bytesRead).toBe(0)
  })

  it('do not get the refusal of a CONNECT for the answer to another one', async () => {
    answerSlowly()
    const gateway = await start()
    const connecting = 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n'
    expect(await sendRaw(gateway.port, get('/slow') + connecting)).not.toContain('400')
    expect(await sendRaw(gateway.port, connecting)).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('do not get the refusal of a CONNECT into the middle of the answer to another one', async () => {
    upstream.answer((_request, response) => void response.writeHead(200, { 'content-length': 10 }).write('first'))
    const gateway = await start()
    const socket = connect(gateway.port, '127.0.0.1').on('error', () => {})
    let received = ''
    socket.on('data', (piece) => {
      received += piece
    })
    socket.write(get('/half'))
    await expect.poll(() => received).toMatch(/first$/)
    socket.write('CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n')
    await once(socket, 'close')
    expect(received).toMatch(/^HTTP\/1\.1 200 .*\r\n\r\nfirst$/s)
  })

  it.each([
    ['another request', 'GET /last HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['a request for a WebSocket', socketRequest('/last')],
  ])('are all given up with their connection, also before %s', async (name, last) => {
    const first = `/first?${encodeURIComponent(name)}`
    let arrived = 0
    upstream.answer(({ url }) => {
      if (url === first) arrived++
    })
    const gateway = await start()
    const socket = connect(gateway.port, '127.0.0.1').on('error', () => {})
    socket.write([first, '/2', '/3'].map(get).join('') + last)
    await Promise.race([once(socket, 'close'), expect.poll(() => arrived).toBe(1)])
    socket.destroy()
    await expect.poll(() => gateway.gateway.metrics()).toContain('scopegate_requests_in_flight 0')
    // Otherwise its end would wait for them for ever.
    await gateway.gateway.close()
  })

  it('never write a refusal into an answer that has begun', async () => {
    upstream.answer((_request, response) => {
      response.write('part1')
      setTimeout(() => response.end('part2'), 100)
    })
    const gateway = await start()
    const bad = 'POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n'
    const received = await sendRaw(gateway.port, get('/stream') + bad)
    expect(received).not.toContain('malformed_request')
  })

  it('end the connection where there are too many of them', async () => {
    const { most } = answerSlowly()
    const gateway = await start()
    const before = upstream.requests.length
    await sendRaw(gateway.port, get('/many').repeat(3000), { timeout: 4000 }).catch(() => {})
    await sleep(100)
    expect(most()).toBeLessThanOrEqual(1)
    expect(upstream.requests.length - before).toBeLessThan(70)
  })
})

describe('a connection that was refused', () => {
  it('for being one too many carries no request through', async () => {
    upstream.answer((_request, response) => response.end('hello'))
    const gateway = await start(', limits: { connections: 1 }')
    const first = sendRaw(gateway.port, '', { until: () => false, timeout: 700 }).catch(() => {})
    await sleep(50)
    const before = upstream.requests.length
    const received = await sendRaw(gateway.port, get('/pay'))
    expect(received).toContain('too_many_connections')
    await first
    expect(upstream.requests.length).toBe(before)
  })

  it('for slow headers carries the request through no more', async () => {
    const gateway = await start()
    const before = upstream.requests.length
    const socket = connect(gateway.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write('GET /late HTTP/1.1\r\nHost: a\r\n')
    const answer = await new Promise<string>((resolve) => socket.once('data', (data) => resolve(String(data))))
    socket.write('\r\n')
    expect(answer).toMatch(/^HTTP\/1\.1 408 /)
    await sleep(200)
    socket.destroy()
    expect(upstream.requests.length).toBe(before)
  })

  it('makes room again: one after the other, twenty get through', async () => {
    upstream.answer((_request, response) => response.end('hello'))
    const gateway = await start(', limits: { connections: 1 }')
    for (let turn = 0; turn < 20; turn++) {
      expect(await sendRaw(gateway.port, get('/'))).toMatch(/^HTTP\/1\.1 200 /)
      await sleep(20)
    }
  })
})

it('a gateway that was closed forwards nothing any more', async () => {
  upstream.answer((_request, response) => response.end('hello'))
  const gateway = await start()
  await gateway.gateway.close()
  expect(await sendRaw(gateway.port, get('/'))).toMatch(/^HTTP\/1\.1 503 /)
})
