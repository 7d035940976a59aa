import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer as createHttpServer, type ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { createHttpClient, type HttpClient, TransportFault } from '../../src/authorization-server/http-client.ts'
import { answerNever, answerWith } from '../harness/authorization-server.ts'
import { testAuthority, testCertificate } from '../harness/certificates.ts'
import { listen } from '../harness/listen.ts'
import { createSecret } from '../harness/secrets.ts'
import { startRawUpstream, startUpstream, type Upstream } from '../harness/upstream.ts'
import { failureOf, printed } from './asking.ts'

let server: Upstream
let client: HttpClient

beforeEach(async () => {
  server = await startUpstream(answerWith(200, { fine: true }))
  client = createHttpClient({ timeout: 5000 })
})
afterEach(() => Promise.all([server.stop(), client.close()]))

describe('an exchange is bounded', () => {
  it('in its size', async () => {
    server.answer(answerWith(200, 'x'.repeat(1024 * 1024)))
    expect((await (await client.fetch(server.url)).text()).length).toBe(1024 * 1024)
    server.answer(answerWith(200, 'x'.repeat(1024 * 1024 + 1)))
    expect((await failureOf(client.fetch(server.url))).code).toBe('authorization_server_invalid_response')
  })

  it('in its size once it is unpacked', async () => {
    const bomb = gzipSync(Buffer.alloc(20 * 1024 * 1024))
    server.answer((_request, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb))
    expect((await failureOf(client.fetch(server.url))).code).toBe('authorization_server_invalid_response')
  })

  it('in its time, however the server draws it out', async () => {
    server.answer((_request, response) => {
      const drip = setInterval(() => response.write(' '), 50)
      response.on('close', () => clearInterval(drip))
    })
    const impatient = createHttpClient({ timeout: 300 })
    onTestFinished(() => impatient.close())
    const error = await failureOf(impatient.fetch(server.url))
    expect([error.code, error.options.reason]).toEqual(['authorization_server_unavailable', `${server.url}/: TIMEOUT`])
  })
})

it('an upgrade that nobody asked for is a broken connection, at once', async () => {
  const raw = await startRawUpstream((socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
  })
  onTestFinished(() => raw.stop())
  await expect(client.fetch(raw.url)).rejects.toMatchObject({ fault: 'ECONNRESET' })
})

it.each([
  ['no body', (response: ServerResponse) => response.writeHead(204, { 'content-encoding': 'gzip' }).end()],
  [
    'an empty one',
    (response: ServerResponse) => response.writeHead(200, { 'content-encoding': 'br', 'content-length': '0' }).end(),
  ],
])('an answer with %s is none that could be unpacked', async (_, answer) => {
  server.answer((_request, response) => void answer(response))
  expect(await (await client.fetch(server.url)).text()).toBe('')
})

it('an encoding that is called as what every object has is passed over', async () => {
  server.answer(
    (_request, response) => void response.writeHead(200, { 'content-encoding': 'constructor' }).end('plain'),
  )
  expect(await (await client.fetch(server.url)).text()).toBe('plain')
})

it.each([
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
])('an answer that comes packed as %s, though nobody asked for that, is unpacked', async (encoding, pack) => {
  const packed = pack(JSON.stringify({ fine: true }))
  server.answer((_request, response) => void response.writeHead(200, { 'content-encoding': encoding }).end(packed))
  expect(await (await client.fetch(server.url)).text()).toBe('{"fine":true}')
  expect(server.requests[0]?.headers).not.toHaveProperty('accept-encoding')
})

it('an answer that is packed otherwise than it says is a fault of the connection', async () => {
  server.answer(
    (_request, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('{"fine":true}'),
  )
  await expect(client.fetch(server.url)).rejects.toMatchObject({ fault: 'Z_DATA_ERROR' })
})

it('an answer that is packed, and breaks off, is a fault of the connection', async () => {
  const packed = gzipSync(randomBytes(2000))
  server.answer((_request, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip', 'content-length': 5000 }).write(packed)
    setImmediate(() => response.destroy())
  })
  await expect(client.fetch(server.url)).rejects.toMatchObject({ fault: 'INCOMPLETE' })
})

it('a header of the answer is found in any spelling, and all its lines are one', async () => {
  server.answer(
    (_request, response) => void response.writeHead(503, ['Retry-AFTER', '7', 'X-A', '1', 'x-a', '2']).end(),
  )
  const { headers, ok } = await client.fetch(server.url)
  expect([ok, headers.get('retry-after'), headers.get('X-a'), headers.get('x-b')]).toEqual([false, '7', '1, 2', null])
})

it('a server that has only an IPv6 address is reached', async () => {
  const own = createHttpServer((request, response) => response.end(`${request.headers.host} ${request.url}`))
  onTestFinished(() => void own.close())
  await once(own.listen(0, '::1'), 'listening')
  const host = `[::1]:${(own.address() as AddressInfo).port}`
  expect(await (await client.fetch(`http://${host}/keys?a=b`)).text()).toBe(`${host} /keys?a=b`)
})

it('nothing is asked twice', async () => {
  server.answer((request) => request.socket.destroy())
  await failureOf(client.fetch(server.url))
  expect(server.requests).toHaveLength(1)
})

it('a server that closes each connection after its answer, without a word, is asked again and again', async () => {
  const closing = await startRawUpstream((socket, received) => {
    if (!received.endsWith('\r\n\r\n')) return
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    setImmediate(() => socket.destroy())
  })
  onTestFinished(closing.stop)
  for (let time = 0; time < 50; time++) expect((await client.fetch(closing.url)).status).toBe(200)
})

it('a fault of the connection is told by its code', async () => {
  await server.stop()
  await expect(client.fetch(server.url)).rejects.toMatchObject({
    code: 'authorization_server_unavailable',
    fault: 'ECONNREFUSED',
  })
  await expect(client.fetch(server.url)).rejects.toBeInstanceOf(TransportFault)
})

it('once it is closed it asks nobody, and lets go of what is under way', async () => {
  server.answer(answerNever)
  const patient = createHttpClient({ timeout: 60_000 })
  const underWay = failureOf(patient.fetch(server.url))
  await vi.waitFor(() => expect(server.requests).toHaveLength(1), { interval: 5 })
  await patient.close()
  expect((await underWay).code).toBe('authorization_server_unavailable')
  expect((await failureOf(patient.fetch(server.url))).options.reason).toMatch(/: CLOSED$/)
  expect(server.requests).toHaveLength(1)
})

it('what was sent stands in no error', async () => {
  const secret = createSecret()
  const url = `${server.url}/token?client_secret=${secret}`
  server.answer((request) => request.socket.destroy())
  const error = await failureOf(
    client.fetch(url, { method: 'POST', headers: { authorization: `Basic ${secret}` }, body: secret }),
  )
  expect(error.options.reason).toMatch(/\/token: ECONNRESET$/)
  expect(printed(error)).not.toContain(secret)
})

describe('over TLS', () => {
  const read = (name: string) => readFileSync(new URL(`../proxy/certificates/${name}`, import.meta.url), 'utf8')
  const startTls = async () => {
    const options = { key: read('server.key'), cert: read('server.pem') }
    const listening = await listen(createServer(options, (_request, response) => response.end('ok')))
    onTestFinished(listening.stop)
    return `https://127.0.0.1:${listening.port}/token`
  }

  it('a server whose authority is configured is reached', async () => {
    const trusting = createHttpClient({ timeout: 2000, ca: read('ca.pem') })
    onTestFinished(() => trusting.close())
    expect(await (await trusting.fetch(await startTls())).text()).toBe('ok')
  })

  it('what was agreed on is used again for the next exchange, on a connection of its own', async () => {
    const seen: boolean[] = []
    const answer = (request: { socket: unknown }, response: { end(text: string): void }) => {
      seen.push((request.socket as TLSSocket).isSessionReused())
      response.end('ok')
    }
    const listening = await listen(createServer({ key: read('server.key'), cert: read('server.pem') }, answer))
    const trusting = createHttpClient({ timeout: 2000, ca: read('ca.pem') })
    onTestFinished(() => Promise.all([trusting.close(), listening.stop()]).then(() => {}))
    for (let time = 0; time < 3; time++) await trusting.fetch(`https://127.0.0.1:${listening.port}/token`)
    expect(seen).toEqual([false, true, true])
  })

  it('an alert that comes when the connection is made already is told', async () => {
    const { certificate, privateKey } = testCertificate('server')
    const wanting = { ca: testAuthority, requestCert: true, rejectUnauthorized: true }
    const listening = await listen(createServer({ cert: certificate, key: privateKey, ...wanting }))
    const trusting = createHttpClient({ timeout: 2000, ca: testAuthority })
    onTestFinished(() => Promise.all([trusting.close(), listening.stop()]).then(() => {}))
    await expect(trusting.fetch(`https://127.0.0.1:${listening.port}/token`)).rejects.toMatchObject({
      fault: 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    })
  })

  it('one that nobody vouches for is not', async () => {
    const error = await failureOf(client.fetch(await startTls()))
    expect(error.options.reason).toMatch(/: (UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/)
  })
})
