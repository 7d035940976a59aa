import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { listen } from '../harness/listen.ts'
import { startUpstream } from '../harness/upstream.ts'
import { withEachEngine } from './engines.ts'
import { until } from './proxy-server.ts'

const size = 100_000_000
const get = 'GET / HTTP/1.1\r\nhost: x\r\n\r\n'

withEachEngine(({ keep, proxyTo }) => {
  test('an answer that the caller does not read is not gathered up', async () => {
    let written = () => 0
    const upstream = await keep(
      startUpstream((_, response) => {
        written = () => response.socket?.bytesWritten ?? 0
        response.on('error', () => {})
        const piece = Buffer.alloc(1_000_000)
        const more = () => {
          while (response.writable && response.write(piece));
          response.once('drain', more)
        }
        more()
      }),
    )
    const proxy = await proxyTo(upstream.url)
    const socket = connect(proxy.port, '127.0.0.1', () => socket.write(get)).pause()
    await until(() => written() > 0)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(written()).toBeLessThan(size / 2)
    socket.destroy()
  })

  test('a body that the upstream does not read is not gathered up', async () => {
    const upstream = await keep(startUpstream(() => {}))
    const proxy = await proxyTo(upstream.url)
    const socket = connect(proxy.port, '127.0.0.1')
    socket.on('error', () => {})
    socket.write(`POST / HTTP/1.1\r\nhost: x\r\ncontent-length: ${size}\r\n\r\n`)
    socket.write(Buffer.alloc(size))
    await until(() => upstream.requests.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(socket.bytesWritten - socket.writableLength).toBeLessThan(size / 2)
    socket.destroy()
  })

  test('a caller that is gone by the time of forwarding is not forwarded', async () => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url)
    let failure: unknown
    const server = await keep(
      listen(
        createServer(async (request, response) => {
          request.socket.destroy()
          await once(response, 'close')
          const exchange = { request, response, upstream: proxy.upstream, path: '/', headers: {} }
          failure = await proxy.forwarder
            .forward({ ...exchange, framing: { kind: 'none' }, bodyIdle: 1000, sendContinue: false })
            .catch((error: unknown) => error)
        }),
      ),
    )
    const socket = connect(server.port, '127.0.0.1', () => socket.write(get)).on('error', () => {})
    await until(() => failure !== undefined)
    expect(failure).toMatchObject({ code: 'caller_gone' })
    expect(upstream.requests).toHaveLength(0)
  })
})
