import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { parseAnswer, parseAnswers, type RawAnswer, sendRaw } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let upstream: Upstream
let gateway: RunningGateway
let brief: number
let single: number
const open: Socket[] = []

beforeAll(async () => {
  upstream = await startUpstream()
  const to = `upstream: "${upstream.url}"`
  gateway = await startGateway(`
listeners:
  main: { address: "127.0.0.1:0" }
  brief: { address: "127.0.0.1:0", timeouts: { headers: 1s, body_idle: 2s, keep_alive: 200ms } }
  single: { address: "127.0.0.1:0", limits: { connections: 1 } }
routes:
  - { listener: main, path: /, public: true, ${to} }
  - { listener: main, path: /closed, callers: { networks: [192.0.2.1] }, ${to} }
  - { listener: brief, path: /, public: true, ${to} }
  - { listener: single, path: /, public: true, ${to} }
`)
  brief = await gateway.open('brief')
  single = await gateway.open('single')
})
afterEach(() => {
  for (const socket of open.splice(0)) socket.destroy()
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop()]))

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

/** A connection on which a test says one thing after the other. */
function converse(port: number) {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  open.push(socket)
  let received = ''
  socket.on('data', (piece) => {
    received += piece.toString('latin1')
  })
  return {
    say: (bytes: string) => void socket.write(bytes, 'latin1'),
    /** The answers so far, as soon as there are so many. */
    async answers(count: number): Promise<RawAnswer[]> {
      while (parseAnswers(received).length < count) await sleep(5)
      return parseAnswers(received)
    },
    received: () => received,
    closed: once(socket, 'close'),
  }
}

describe('a connection', () => {
  it('that ended makes room for the next one, twenty times', async () => {
    for (let turn = 0; turn < 20; turn++) {
      expect(await sendRaw(single, get('/').replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'))).toMatch(
        /^HTTP\/1\.1 200 /,
      )
      await sleep(10)
    }
  })

  it('is told how long it is kept, and ended after that', async () => {
    const [long, short] = [converse(gateway.port), converse(brief)]
    long.say(get('/'))
    short.say(get('/'))
    expect((await long.answers(1))[0]?.headers['keep-alive']).toBe('timeout=65')
    await short.answers(1)
    const answeredAt = performance.now()
    await short.closed
    // Node adds a second to it; its own default would be five.
    expect(performance.now() - answeredAt).toBeLessThan(3500)
  })

  it('takes a body that comes slowly but steadily, for longer than headers may take', async () => {
    const connection = converse(brief)
    connection.say('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n')
    for (let piece = 0; piece < 8; piece++) {
      await sleep(400)
      connection.say('b')
    }
    expect((await connection.answers(1))[0]?.status).toBe(200)
    expect(upstream.requests.at(-1)?.body().toString()).toBe('bbbbbbbb')
  })

  it('has no limit for a whole request, which would end slow uploads', () => {
    const server = createServer(gateway.gateway.serverOptions)
    gateway.gateway.attach(server)
    expect([server.requestTimeout, server.headersTimeout, server.keepAliveTimeout]).toEqual([0, 10_000, 65_000])
  })
})

describe('a refusal', () => {
  it('of HEAD has no body, and the connection goes on', async () => {
    const received = await sendRaw(gateway.port, `HEAD /closed HTTP/1.1\r\nHost: a\r\n\r\n${get('/')}`, {
      until: (text) => parseAnswers(parseAnswer(text, { head: true })?.rest ?? '').length === 1,
    })
    const head = parseAnswer(received, { head: true })
    expect([head?.status, head?.headers['content-type']]).toEqual([403, 'application/problem+json'])
    expect(Number(head?.headers['content-length'])).toBeGreaterThan(50)
    expect(parseAnswers(head?.rest ?? '')[0]?.status).toBe(200)
  })

  it('of HEAD with a body that is still to come has none either, and is there at once', async () => {
    const connection = converse(gateway.port)
    connection.say('HEAD /closed HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n')
    while (!connection.received().includes('\r\n\r\n')) await sleep(5)
    connection.say(`abc${get('/')}`)
    while (!connection.received().includes('200 OK')) await sleep(5)
    const head = parseAnswer(connection.received(), { head: true })
    expect([head?.status, head?.rest.slice(0, 12)]).toEqual([403, 'HTTP/1.1 200'])
  })

  it('is there before a small body is, and the connection goes on behind it', async () => {
    const connection = converse(gateway.port)
    connection.say('POST /closed HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nbegin')
    const [refusal] = await connection.answers(1)
    expect([refusal?.status, refusal?.complete]).toEqual([403, true])
    expect(refusal?.headers.connection).not.toBe('close')
    connection.say(`ning.${get('/')}`)
    expect((await connection.answers(2))[1]?.status).toBe(200)
  })

  it.each([
    ['a large body', 'Content-Length: 1000000', 'b'.repeat(100_000)],
    ['a body of unknown length', 'Transfer-Encoding: chunked', `186a0\r\n${'b'.repeat(100_000)}\r\n`],
  ])('can be read before %s is there, and ends the connection', async (_what, framing, piece) => {
    const connection = converse(gateway.port)
    connection.say(`POST /closed HTTP/1.1\r\nHost: a\r\n${framing}\r\n\r\n${piece}`)
    const [refusal] = await connection.answers(1)
    expect([refusal?.status, refusal?.complete, refusal?.headers.connection]).toEqual([403, true, 'close'])
    connection.say(piece)
    const started = performance.now()
    await connection.closed
    expect(performance.now() - started).toBeLessThan(2500)
    expect(parseAnswers(connection.received())).toHaveLength(1)
  })
})
