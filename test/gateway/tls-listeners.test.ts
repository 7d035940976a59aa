import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { createLog } from '../../src/base/log.ts'
import { parseConfig } from '../../src/config/load.ts'
import { createGateway } from '../../src/gateway.ts'
import { type RunningServer, serve } from '../../src/server.ts'
import {
  askTls,
  callersAuthority,
  connectTls,
  foreignAuthority,
  listenerCertificate,
  listenerEnv,
  listenerKey,
  listenerTls,
  sendTls,
} from '../harness/caller-certificates.ts'
import { createTestLog, type TestLog } from '../harness/logs.ts'
import { ask, parseAnswers } from '../harness/raw-client.ts'
import { headerValues } from '../harness/seen-request.ts'
import { startRawUpstream, startUpstream, type Upstream } from '../harness/upstream.ts'
import { socketAnswer, socketRequest } from '../harness/web-socket.ts'

let upstream: Upstream
let running: RunningServer | undefined
let log: TestLog
let folder: string

beforeAll(async () => {
  upstream = await startUpstream()
})
afterAll(() => upstream.stop())
beforeEach(() => {
  log = createTestLog()
  folder = mkdtempSync(join(tmpdir(), 'scopegate-tls-'))
})
afterEach(async () => {
  await running?.stop()
  running = undefined
  rmSync(folder, { recursive: true })
})

const configure = (yaml: string) => parseConfig(yaml, { file: join(folder, 'test.yaml'), env: listenerEnv })

/** Serves one listener with these keys, and gives back its port. */
async function start(keys = `tls: ${listenerTls()}`, more = '', route = ''): Promise<number> {
  const yaml = `
listeners: { main: { address: "127.0.0.1:0", ${keys} } }
${more}
routes:
  - { path: /a, public: true, upstream: "${upstream.url}" }
  ${route}
`
  running = await serve(configure(yaml), { log: createLog(log) })
  return running.addresses.get('main')?.port ?? expect.unreachable('there is no listener')
}

const get = (path = '/a') => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await sleep(10)
}

const refused = () => log.find({ msg: 'refused' })

/** However it comes about: an error before it is none of the test's. */
const closed = (socket: Socket) => new Promise((resolve) => socket.once('close', resolve))

function open(port: number): Socket {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  return socket
}

describe('a listener with tls', () => {
  it.each(['TLSv1.2', 'TLSv1.3'] as const)('speaks %s, and the upstream is told', async (version) => {
    const port = await start()
    const answer = await askTls(port, get(), { minVersion: version, maxVersion: version })
    expect(answer?.status).toBe(200)
    const seen = upstream.requests.at(-1) ?? expect.unreachable('nothing was seen')
    expect(headerValues(seen, 'x-forwarded-proto')).toEqual(['https'])
    expect(headerValues(seen, 'via')).toEqual([expect.stringMatching(/^1\.1 scopegate-/)])
  })

  it('speaks nothing older', async () => {
    const port = await start()
    const old = { minVersion: 'TLSv1.1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
    expect(await askTls(port, get(), old)).toBeUndefined()
    await until(() => refused().length > 0)
    expect(refused()).toMatchObject([{ listener: 'main', code: 'handshake_failed', level: 'info' }])
    expect(refused()[0]?.reason).toMatch(/^ERR_SSL_/)
  })

  it('keeps connections, answers pipelined requests in turn, and so many of them alone', async () => {
    const port = await start()
    const socket = connectTls(port)
    let received = ''
    socket.on('data', (piece: Buffer) => {
      received += piece.toString('latin1')
    })
    socket.on('error', () => {})
    socket.write(get() + get('/none'))
    await until(() => parseAnswers(received).length === 2)
    socket.write(get())
    await until(() => parseAnswers(received).length === 3)
    expect(parseAnswers(received).map(({ status }) => status)).toEqual([200, 404, 200])
    const end = closed(socket)
    socket.write(get().repeat(100))
    await end
  })

  it('has the limits of every other: slow, large and conflicting requests', async () => {
    const limits = 'timeouts: { headers: 300ms }, limits: { header_size: 1KiB, target_length: 1KiB }'
    const port = await start(`tls: ${listenerTls()}, ${limits}`)
    const codeOf = async (bytes: string) => {
      const answer = await askTls(port, bytes)
      return answer && [answer.status, JSON.parse(answer.body).code, answer.headers.connection]
    }
    expect(await codeOf('GET /a HTTP/1.1\r\nHost: a\r\n')).toEqual([408, 'request_timeout', 'close'])
    const large = `X-Large: ${'a'.repeat(4096)}\r\n`
    expect(await codeOf(get().replace('\r\n\r\n', `\r\n${large}\r\n`))).toEqual([431, 'headers_too_large', 'close'])
    const both = 'POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'
    expect((await codeOf(both))?.[0]).toBe(400)
    expect((await codeOf('GET /a HTTP/1.1\nHost: a\n\n'))?.[0]).toBe(400)
  })

  it('gives a handshake as long as the headers, also one that trickles in', async () => {
    const port = await start(`tls: ${listenerTls()}, timeouts: { headers: 200ms }`)
    const silent = open(port)
    const trickling = open(port)
    // The beginning of a long ClientHello.
    trickling.write(Buffer.from([0x16, 3, 1, 1, 0, 1, 0, 0, 0xfc, 3, 3]))
    const trickle = setInterval(() => trickling.write(Buffer.from([0])), 20)
    await Promise.all([closed(silent), closed(trickling)])
    clearInterval(trickle)
    expect(refused().map(({ reason }) => reason)).toEqual(['ERR_TLS_HANDSHAKE_TIMEOUT', 'ERR_TLS_HANDSHAKE_TIMEOUT'])
    expect((await askTls(port, get()))?.status).toBe(200)
  })

  it('survives what is no TLS, says so once each, and is silent about who only looks whether it is there', async () => {
    const port = await start()
    for (let turn = 0; turn < 5; turn++) {
      const looking = open(port)
      await once(looking, 'connect')
      if (turn % 2) looking.resetAndDestroy()
      else looking.end()
      await closed(looking)
    }
    await expect(ask(port, get())).rejects.toThrow()
    const garbage = open(port)
    garbage.write(Buffer.alloc(64, 0xff))
    await closed(garbage)
    await until(() => refused().length >= 2)
    expect((await askTls(port, get()))?.status).toBe(200)
    expect(refused()).toMatchObject([
      { code: 'handshake_failed', reason: 'ERR_SSL_HTTP_REQUEST', address: '127.0.0.1' },
      { code: 'handshake_failed', reason: expect.stringMatching(/^ERR_SSL_/) },
    ])
    expect(log.find({ code: 'internal_error' })).toEqual([])
  })

  it('counts its connections from before the handshake, and drops what is too many', async () => {
    const port = await start(`tls: ${listenerTls()}, limits: { connections: 1 }`)
    const held = open(port)
    await once(held, 'connect')
    expect(await askTls(port, get())).toBeUndefined()
    expect(refused()).toMatchObject([{ code: 'too_many_connections', address: '127.0.0.1' }])
    // An answer in plain HTTP would be no handshake, and no answer.
    const another = open(port)
    await once(another, 'close')
    expect(another.bytesRead).toBe(0)
    held.destroy()
    await until(async () => (await askTls(port, get()))?.status === 200)
    expect(refused().every(({ code }) => code === 'too_many_connections')).toBe(true)
  })

  it('is no listener for a server without TLS', () => {
    const gateway = createGateway(
      configure(`
listeners: { main: { tls: ${listenerTls()} } }
routes: [{ path: /a, public: true, upstream: "${upstream.url}" }]
`),
      { log: createLog(log) },
    )
    expect(gateway.encrypted).toBe(true)
    expect(gateway.serverOptions).toMatchObject({ minVersion: 'TLSv1.2' })
    expect(() => gateway.attach(createServer(gateway.handler))).toThrow(/https\.createServer/)
  })

  it.each([
    ['required', {}],
    ['required', { requestCert: true, rejectUnauthorized: false }],
    ['required', { requestCert: false }],
    ['optional', {}],
    ['optional', { requestCert: true }],
    [undefined, { requestCert: true }],
  ] as const)('is none for a server that asks otherwise: %s, made with %j', async (wanted, made) => {
    const gateway = createGateway(
      configure(`
listeners: { main: { tls: ${listenerTls(wanted)} } }
routes: [{ path: /a, public: true, upstream: "${upstream.url}" }]
`),
      { log: createLog(log) },
    )
    const own = { key: listenerKey, cert: listenerCertificate(), ca: callersAuthority }
    expect(() => gateway.attach(createTlsServer({ ...own, ...made }, gateway.handler))).toThrow(/otherwise/)
    gateway.attach(createTlsServer({ ...gateway.serverOptions }, gateway.handler))
    await gateway.close()
  })

  it('lets nobody shake hands twice on one connection', async () => {
    const port = await start()
    const socket = connectTls(port, { maxVersion: 'TLSv1.2' })
    await once(socket, 'secureConnect')
    const failed = once(socket, 'error')
    socket.renegotiate({}, () => {})
    expect(String(await failed)).toMatch(/no.renegotiation/i)
    socket.destroy()
  })
})

describe('a listener whose certificate is exchanged', () => {
  const write = (files: Readonly<Record<string, string>>) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  }
  const files = '{ certificate: "${file:cert.pem}", private_key: "${file:key.pem}"'

  async function serialOf(port: number): Promise<string> {
    const socket = connectTls(port)
    await once(socket, 'secureConnect')
    const { serialNumber } = socket.getPeerCertificate()
    socket.destroy()
    return serialNumber
  }

  it('presents the new one to whoever comes then, and keeps the old one while the new ones do not fit', async () => {
    write({ 'cert.pem': listenerCertificate(), 'key.pem': listenerKey })
    const port = await start(`tls: ${files} }`)
    const first = await serialOf(port)
    const kept = connectTls(port)
    await once(kept, 'secureConnect')

    for (const bad of [
      callersAuthority,
      listenerCertificate().slice(0, 300),
      `${listenerCertificate()}-----BEGIN CERTIFICATE-----`,
    ]) {
      const told = log.find({ msg: 'certificate not renewed' }).length
      write({ 'cert.pem': bad })
      await until(async () => {
        expect(await serialOf(port)).toBe(first)
        return log.find({ msg: 'certificate not renewed' }).length > told
      })
    }
    expect(
      log.find({ msg: 'certificate not renewed' }).map(({ level, listener, reason }) => [level, listener, reason]),
    ).toEqual([
      ['warn', 'main', 'certificate does not fit the private key: it was issued for another one'],
      ['warn', 'main', 'certificate has a certificate in it that is cut off, or none'],
      ['warn', 'main', 'certificate has a certificate in it that is cut off, or none'],
    ])

    write({ 'cert.pem': listenerCertificate('server-renewed') })
    // The very connection that finds it has it.
    const renewed = () => log.find({ msg: 'certificate renewed' }).length > 0
    await until(async () => {
      const serial = await serialOf(port)
      expect(serial !== first).toBe(renewed())
      return renewed()
    })
    expect(log.find({ msg: 'certificate renewed' })).toMatchObject([{ listener: 'main' }])
    // Who was there before goes on.
    kept.write(get())
    const [piece] = await once(kept, 'data')
    expect(String(piece)).toMatch(/^HTTP\/1\.1 200 /)
    kept.destroy()
  })

  it('accepts callers of the new authority, and none of the old one any more', async () => {
    write({ 'cert.pem': listenerCertificate(), 'key.pem': listenerKey, 'callers.pem': callersAuthority })
    const port = await start(`tls: ${files}, client_ca: "\${file:callers.pem}", client_certificate: required }`)
    const statusFor = async (as: string) => (await askTls(port, get(), { as }))?.status
    expect([await statusFor('billing'), await statusFor('foreign')]).toEqual([200, undefined])
    write({ 'callers.pem': foreignAuthority })
    await until(async () => (await statusFor('billing')) === undefined)
    expect(await statusFor('foreign')).toBe(200)
  })

  it('reads nothing more of those whom the old authority vouched for, whoever is first to ask', async () => {
    write({ 'cert.pem': listenerCertificate(), 'key.pem': listenerKey, 'callers.pem': callersAuthority })
    const port = await start(`tls: ${files}, client_ca: "\${file:callers.pem}", client_certificate: required }`)
    const [first, second] = await Promise.all(
      [1, 2].map(async () => {
        const socket = connectTls(port, { as: 'billing' })
        socket.on('error', () => {})
        socket.write(get())
        expect(String((await once(socket, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /)
        return socket
      }),
    )
    if (!first || !second) return expect.unreachable('nobody has come')
    const begun = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    upstream.answer(async (_request, response) => {
      begun.resolve()
      await released.promise
      response.end('late')
    })
    second.write(get())
    await begun.promise
    // What was good before is still so, and a certificate of the listener's own changes nothing.
    write({ 'cert.pem': listenerCertificate('server-renewed') })
    await until(async () => {
      await askTls(port, get('/none'), { as: 'billing' })
      return log.find({ msg: 'certificate renewed' }).length === 1
    })
    expect(first.destroyed).toBe(false)

    write({ 'callers.pem': foreignAuthority })
    const before = upstream.requests.length
    let later = ''
    first.on('data', (piece: Buffer) => {
      later += piece.toString('latin1')
    })
    const gone = closed(first)
    await until(async () => {
      first.write(get('/none'))
      await sleep(50)
      return first.destroyed
    })
    await gone
    expect(parseAnswers(later).every(({ status }) => status === 404)).toBe(true)
    // What is under way is answered, and is the last.
    released.resolve()
    expect(String((await once(second, 'data'))[0])).toMatch(/^HTTP\/1\.1 200 /)
    const last = closed(second)
    second.write(get())
    await last
    expect(upstream.requests.length).toBe(before)
  })
})

describe('a server with tls that stops', () => {
  it('finishes what is in flight, and waits neither for handshakes nor for the idle', async () => {
    const port = await start(`tls: ${listenerTls()}`, 'shutdown_grace: 20s')
    const released = Promise.withResolvers<void>()
    const begun = Promise.withResolvers<void>()
    upstream.answer(async (_request, response) => {
      begun.resolve()
      await released.promise
      response.end('late')
    })
    const inFlight = askTls(port, get())
    await begun.promise
    const shaking = open(port)
    const silent = connectTls(port)
    silent.on('error', () => {})
    silent.resume()
    await Promise.all([once(shaking, 'connect'), once(silent, 'secureConnect')])
    const gone = Promise.all([closed(shaking), closed(silent)])
    const stopping = running?.stop()
    await gone
    released.resolve()
    const answer = await inFlight
    expect([answer?.status, answer?.body]).toEqual([200, 'late'])
    expect(await stopping).toBe(0)
  })

  it('leaves a WebSocket its time', async () => {
    const other = await startRawUpstream((socket, received) => {
      if (received.endsWith('\r\n\r\n')) socket.write(socketAnswer())
      if (received.endsWith('ping')) socket.write('pong')
    })
    const to = `- { path: /socket, public: true, upstream: "${other.url}" }`
    const port = await start(`tls: ${listenerTls()}`, 'shutdown_grace: 20s', to)
    const socket = connectTls(port)
    let came = ''
    socket.on('error', () => {})
    socket.on('data', (piece: Buffer) => {
      came += piece.toString('latin1')
    })
    socket.write(socketRequest('/socket'))
    await until(() => came.includes('101 Switching'))
    const stopping = running?.stop()
    await until(() => log.find({ msg: 'stopping' }).length > 0)
    socket.write('ping')
    await until(() => came.endsWith('pong') || socket.destroyed)
    expect(came).toMatch(/pong$/)
    socket.end()
    expect(await stopping).toBe(0)
    await other.stop()
  })

  it('cuts off what takes longer than the grace', async () => {
    const port = await start(`tls: ${listenerTls()}`, 'shutdown_grace: 100ms')
    const begun = Promise.withResolvers<void>()
    upstream.answer(() => begun.resolve())
    const inFlight = sendTls(port, get())
    await begun.promise
    expect(await running?.stop()).toBe(1)
    expect(await inFlight).toBe('')
  })
})

it('a listener on every address takes an IPv4 caller for what it is', async () => {
  const yaml = `
listeners: { main: { address: "[::]:0" } }
routes: [{ path: /near, callers: { networks: [127.0.0.1] }, upstream: "${upstream.url}" }]
`
  upstream.answer((_request, response) => response.end('ok'))
  running = await serve(configure(yaml), { log: createLog(log) })
  const port = running.addresses.get('main')?.port ?? 0
  expect((await ask(port, get('/near'))).status).toBe(200)
  expect((await ask(port, get('/near'), { from: '127.0.0.2' })).status).toBe(403)
})
