import { createHash, randomFillSync } from 'node:crypto'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { createServer, IncomingMessage, type RequestListener, ServerResponse, request as send } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { Socket } from 'node:net'
import { PassThrough } from 'node:stream'
import { describe, expect, test } from 'vitest'
import type { Attempt } from '../../src/proxy/attempt.ts'
import { createGivingBackShared, givingBack } from '../../src/proxy/body-memory.ts'
import type { Engine } from '../../src/proxy/engine.ts'
import { createForwarder } from '../../src/proxy/forward.ts'
import { upstreamOptions } from '../../src/proxy/route-options.ts'
import { undiciEngine } from '../../src/proxy/undici-engine.ts'
import { createUpstream } from '../../src/proxy/upstream.ts'
import type { AnswerReader, UpstreamAnswer } from '../../src/proxy/upstream-answer.ts'
import { listen } from '../harness/listen.ts'
import { withEachEngine } from './engines.ts'
import { createKeeper } from './keep.ts'
import type { ProxyServer } from './proxy-server.ts'

const large = 16 * 1024
const isGone = ({ buffer }: Buffer) => (buffer as ArrayBuffer).detached

describe('a piece', () => {
  test('is given back once it has been written, and not if it could not be', () => {
    const [written, failed] = [Buffer.alloc(large), Buffer.alloc(large)]
    givingBack(written)?.(null)
    givingBack(failed)?.(new Error('closed'))
    expect([written, failed].map(isGone)).toEqual([true, false])
  })

  test.each([
    ['small', Buffer.alloc(large - 1)],
    ['a part of a larger one', Buffer.alloc(2 * large).subarray(0, large)],
    ['the end of a larger one', Buffer.alloc(2 * large).subarray(large)],
    ['in memory that threads share', Buffer.from(new SharedArrayBuffer(large))],
  ])('is left alone if it is %s', (_, piece) => {
    expect(givingBack(piece)).toBeUndefined()
  })
})

describe('pieces out of the same memory', () => {
  const isWhole = (read: Buffer) => !isGone(read)

  test('are given back together: once all have been written, and the next memory has its turn', () => {
    const givingBack = createGivingBackShared()
    const [read, next] = [Buffer.alloc(large), Buffer.alloc(large)]
    const first = givingBack(read.subarray(10, 20), read)
    const second = givingBack(read.subarray(30), read)
    second?.(null)
    givingBack(next.subarray(5), next)
    expect(isWhole(read)).toBe(true)
    first?.(null)
    expect([isGone(read), isWhole(next)]).toEqual([true, true])
  })

  test('are given back where all were written before the next memory had its turn', () => {
    const givingBack = createGivingBackShared()
    const [read, next] = [Buffer.alloc(large), Buffer.alloc(large)]
    givingBack(read.subarray(1), read)?.(null)
    expect(isWhole(read)).toBe(true)
    givingBack(next, next)
    expect(isGone(read)).toBe(true)
  })

  test('are left alone if one could not be written', () => {
    const givingBack = createGivingBackShared()
    const [read, next] = [Buffer.alloc(large), Buffer.alloc(large)]
    givingBack(read.subarray(0, 10), read)?.(new Error('closed'))
    givingBack(read.subarray(10), read)?.(null)
    givingBack(next, next)
    expect(isWhole(read)).toBe(true)
  })

  test('count, too, if the rest of what was read was read again', () => {
    const givingBack = createGivingBackShared()
    const [read, next] = [Buffer.alloc(large), Buffer.alloc(large)]
    const rest = read.subarray(100)
    givingBack(read.subarray(0, 100), read)?.(null)
    const last = givingBack(rest, rest)
    givingBack(next.subarray(0, 10), undefined)
    expect(isWhole(read)).toBe(true)
    last?.(null)
    expect(isGone(read)).toBe(true)
  })

  test('are left alone if what was read shares its memory with something else, or is not known', () => {
    const givingBack = createGivingBackShared()
    const pool = Buffer.alloc(2 * large)
    for (const read of [pool.subarray(0, large), undefined, Buffer.alloc(large)])
      expect(givingBack(pool.subarray(0, 10), read)).toBeUndefined()
  })
})

const body = randomFillSync(Buffer.alloc(8 * 1024 * 1024))
const digestOf = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')

/** Reads with a pause now and then, so that what is sent has to wait. */
async function sip(message: IncomingMessage): Promise<string> {
  const digest = createHash('sha256')
  let bytes = 0
  for await (const piece of message) {
    digest.update(piece as Buffer)
    const before = Math.floor(bytes / 1_000_000)
    bytes += (piece as Buffer).length
    if (Math.floor(bytes / 1_000_000) !== before) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return digest.digest('hex')
}

/** An answer to each GET, in the way that its path names; to what has a body, its digest. */
const answer: RequestListener = async (request, response) => {
  if (request.method !== 'GET') return void response.end(await sip(request))
  if (request.url === '/length') return void response.writeHead(200, { 'content-length': body.length }).end(body)
  const size = request.url === '/small' ? 1000 : 100_000
  for (let at = 0; at < body.length; at += size)
    if (!response.write(body.subarray(at, at + size))) await new Promise((resolve) => response.once('drain', resolve))
  response.end()
}

const read = (name: string) => readFileSync(new URL(`certificates/${name}`, import.meta.url), 'utf8')

withEachEngine(({ keep, proxyTo, engine }) => {
  const startUpstream = async () => {
    const { port } = await keep(listen(createServer(answer)))
    return `http://127.0.0.1:${port}`
  }
  async function startTlsUpstream() {
    const server = createTlsServer({ key: read('server.key'), cert: read('server.pem') }, answer)
    const { port } = await keep(listen(server))
    return { url: `https://127.0.0.1:${port}`, tls: { ca: read('ca.pem') } }
  }
  const get = async ({ port }: ProxyServer, path: string) =>
    sip(await new Promise((resolve, reject) => send({ port, path }, resolve).once('error', reject).end()))
  const post = ({ port }: ProxyServer, headers: Record<string, string | number>) =>
    new Promise<string>((resolve, reject) => {
      const request = send({ port, method: 'POST', headers }, async (incoming) => {
        for await (const text of incoming.setEncoding('latin1')) resolve(text)
      })
      request.once('error', reject).end(body)
    })

  describe.each([
    ['http', startUpstream],
    ['https', startTlsUpstream],
  ])('over %s', (_, start) => {
    test.each(['/length', '/small', '/large'])('a large answer arrives as it was sent: %s', async (path) => {
      const proxy = await proxyTo(await start())
      for (let turn = 0; turn < 2; turn++) expect(await get(proxy, path)).toBe(digestOf(body))
    })

    test.each([{ 'content-length': body.length }, { 'transfer-encoding': 'chunked' }])(
      'a large body arrives as it was sent: %o',
      async (headers) => {
        const proxy = await proxyTo(await start())
        for (let turn = 0; turn < 2; turn++) expect(await post(proxy, headers)).toBe(digestOf(body))
      },
    )
  })

  const ways = engine === undiciEngine ? ['/length', '/small', '/large'] : ['/length', '/large']

  test.each(ways)('the pieces of an answer take no room once they are sent: %s', async (path) => {
    const { spy, answered } = spyOn(engine)
    await get(await proxyTo(await startUpstream(), { engine: spy }), path)
    expect(partGone(answered)).toBeGreaterThan(0.8)
  })

  test('those of an answer are left to who takes them in place of the caller', async () => {
    const { spy, answered } = spyOn(engine, ({ response }) => {
      const write = response.write.bind(response)
      response.write = (...all: unknown[]) => Reflect.apply(write, undefined, all)
    })
    await get(await proxyTo(await startUpstream(), { engine: spy }), '/length')
    expect(answered.length).toBeGreaterThan(50)
    expect(partGone(answered)).toBe(0)
  })

  test('those of an answer are left to who watches all requests of the process', async () => {
    const upstream = await startUpstream()
    const watched: Buffer[] = []
    const onChunk = (message: unknown) => void watched.push((message as { chunk: Buffer }).chunk)
    const onFinish = (message: unknown) => {
      const { response } = message as { response: IncomingMessage }
      const isAsked = upstream.endsWith(`:${response.socket.remotePort}`)
      if (isAsked) response.on('data', (piece: Buffer) => watched.push(piece))
    }
    subscribe('undici:request:bodyChunkReceived', onChunk)
    subscribe('http.client.response.finish', onFinish)
    try {
      const { spy, answered } = spyOn(engine)
      await get(await proxyTo(upstream, { engine: spy }), '/length')
      expect(answered.length).toBeGreaterThan(50)
      expect(watched).toHaveLength(answered.length)
      expect(partGone(answered)).toBe(0)
    } finally {
      unsubscribe('undici:request:bodyChunkReceived', onChunk)
      unsubscribe('http.client.response.finish', onFinish)
    }
  })

  test.each([{ 'content-length': body.length }, { 'transfer-encoding': 'chunked' }])(
    'the pieces of a body take no room once they are sent: %o',
    async (headers) => {
      const { spy, asked } = spyOn(engine)
      await post(await proxyTo(await startUpstream(), { engine: spy }), headers)
      expect(partGone(asked)).toBeGreaterThan(0.8)
    },
  )

  test('those of a body are left to who listens too', async () => {
    const { spy, asked } = spyOn(engine, ({ request }) => {
      request.once('resume', () => request.on('data', () => {}))
    })
    await post(await proxyTo(await startUpstream(), { engine: spy }), { 'content-length': body.length })
    expect(asked.length).toBeGreaterThan(50)
    expect(partGone(asked)).toBe(0)
  })
})

describe('a body that an application has put together', () => {
  const { keep } = createKeeper()

  test('is left to it', async () => {
    const { port } = await keep(listen(createServer(answer)))
    const upstream = createUpstream(upstreamOptions.parse(`http://127.0.0.1:${port}`))
    const own = Buffer.from(body)
    const pieces = [own.subarray(0, 100), own]
    const request = new IncomingMessage(new Socket())
    Object.assign(request, { method: 'POST', _read: () => request.push(pieces.shift() ?? null) })
    const response = new ServerResponse(request)
    response.assignSocket(new PassThrough() as unknown as Socket)
    const result = await createForwarder().forward({
      ...{ request, response, upstream, path: '/', headers: { host: 'x' } },
      ...{ framing: { kind: 'length', length: own.length + 100 }, sendContinue: false, bodyIdle: 60_000 },
    })
    upstream.close()
    expect(result).toMatchObject({ status: 200 })
    expect(own.length).toBe(body.length)
  })
})

type Tap = (exchange: Attempt['exchange']) => unknown

/** Of the pieces that have, or had, much memory, the part that has none any more. */
function partGone(pieces: readonly Buffer[]): number {
  const counted = pieces.filter((piece) => isGone(piece) || piece.buffer.byteLength >= large)
  return counted.filter(isGone).length / counted.length
}

/** The same engine, the pieces of the bodies that it sends, and those of the answers that it gets. */
function spyOn(engine: Engine, tap: Tap = () => {}) {
  const asked: Buffer[] = []
  const answered: Buffer[] = []
  function watch(answer: UpstreamAnswer): UpstreamAnswer {
    const read = ({ onData, ...rest }: AnswerReader) =>
      answer.read({
        ...rest,
        onData(piece, onWritten) {
          answered.push(piece)
          onData(piece, onWritten)
        },
      })
    return { ...answer, read }
  }
  const spy: Engine = {
    ...engine,
    start(attempt) {
      const { request } = attempt.exchange
      const emit = request.emit.bind(request)
      request.emit = (event: string, ...all: unknown[]) => {
        if (event === 'data') asked.push(all[0] as Buffer)
        return Reflect.apply(emit, undefined, [event, ...all])
      }
      tap(attempt.exchange)
      return engine.start({ ...attempt, onAnswer: (answer) => attempt.onAnswer(watch(answer)) })
    },
  }
  return { spy, asked, answered }
}
