import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { listen } from '../harness/listen.ts'
import { ask } from '../harness/raw-client.ts'
import { withEachEngine } from './engines.ts'

const read = (name: string) => readFileSync(new URL(`certificates/${name}`, import.meta.url), 'utf8')
const tls = { ca: read('ca.pem') }
const get = 'GET / HTTP/1.1\r\nhost: caller.example\r\n\r\n'

withEachEngine(({ keep, proxyTo }) => {
  /** Its certificate is for upstream.test and 127.0.0.1. */
  async function startTlsUpstream(headers: Record<string, string> = {}) {
    const seen: unknown[] = []
    const server = createServer({ key: read('server.key'), cert: read('server.pem') }, (request, response) => {
      const socket = request.socket as TLSSocket
      const { servername } = Object(socket)
      const { host } = request.headers
      seen.push({ servername, host, method: request.method, resumed: socket.isSessionReused() })
      request.resume().on('end', () => response.writeHead(200, headers).end('ok'))
    })
    const listening = await keep(listen(server))
    return { ...listening, seen, url: `https://127.0.0.1:${listening.port}` }
  }

  test('an upstream whose certificate the configured authority signed is reached', async () => {
    const upstream = await startTlsUpstream()
    const proxy = await proxyTo({ url: upstream.url, tls })
    expect((await ask(proxy.port, get)).status).toBe(200)
    expect((await ask(proxy.port, 'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\nok')).status).toBe(200)
  })

  test('a session is resumed on the next connection', async () => {
    const upstream = await startTlsUpstream({ connection: 'close' })
    const proxy = await proxyTo({ url: upstream.url, tls })
    for (let turn = 0; turn < 3; turn++) expect((await ask(proxy.port, get)).status).toBe(200)
    expect(upstream.seen).toMatchObject([{ resumed: false }, { resumed: true }, { resumed: true }])
  })

  test('a certificate that nobody vouches for is 502, and the request is not sent', async () => {
    const upstream = await startTlsUpstream()
    const proxy = await proxyTo(upstream.url)
    expect((await ask(proxy.port, get)).status).toBe(502)
    expect(upstream.seen).toEqual([])
  })

  test('a certificate for another name is 502, and server_name says which one it has', async () => {
    const upstream = await startTlsUpstream()
    const url = `https://localhost:${upstream.port}`
    const other = await proxyTo({ url, tls })
    expect((await ask(other.port, get)).status).toBe(502)
    const named = await proxyTo({ url, tls: { ...tls, server_name: 'upstream.test' } })
    expect((await ask(named.port, get)).status).toBe(200)
    expect(upstream.seen).toMatchObject([{ servername: 'upstream.test' }])
  })

  test("the caller's Host does not choose which name the certificate must have", async () => {
    const upstream = await startTlsUpstream()
    const proxy = await proxyTo({ url: `https://localhost:${upstream.port}`, tls, host: 'preserve' })
    expect((await ask(proxy.port, 'GET / HTTP/1.1\r\nhost: upstream.test\r\n\r\n')).status).toBe(502)
    expect(upstream.seen).toEqual([])
  })
})
