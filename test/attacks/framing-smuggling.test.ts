/**
 * The attack: a caller writes one request whose length can be read in two ways. The gateway reads it in one of them and
 * judges it; the upstream reads it in the other, ends the body earlier, and takes what follows for a request of its own,
 * which nobody judged. On a connection that is shared, its answer may even go to somebody else. Variants were found in
 * nearly every proxy: two lengths, a length beside `chunked`, `chunked` in odd spellings, a body on a method that has
 * none, a header that tells the proxy to drop the length.
 */
import { describe, expect, test } from 'vitest'
import { ask, parseAnswers, sendRaw } from '../harness/raw-client.ts'
import { startRawUpstream, startUpstream } from '../harness/upstream.ts'
import { withEachEngine } from '../proxy/engines.ts'
import { createKeeper } from '../proxy/keep.ts'
import { until } from '../proxy/proxy-server.ts'

const { keep, proxyTo } = createKeeper()
const smuggled = 'GET /admin HTTP/1.1\r\nhost: x\r\n\r\n'
const chunked = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`

describe('a request whose length can be read in two ways is refused, and nothing of it reaches the upstream:', () => {
  test.each([
    ['a length beside chunked', 'content-length: 4\r\ntransfer-encoding: chunked'],
    ['chunked beside a length', 'transfer-encoding: chunked\r\ncontent-length: 4'],
    ['two lengths', 'content-length: 4\r\ncontent-length: 5'],
    ['one length twice', 'content-length: 4\r\ncontent-length: 4'],
    ['two lengths in two letter cases', 'Content-Length: 4\r\ncontent-length: 5'],
    ['two lengths in one header', 'content-length: 4, 4'],
    ['a length with a sign', 'content-length: +4'],
    ['a hexadecimal length', 'content-length: 0x4'],
    ['a length below zero', 'content-length: -1'],
    ['an empty length', 'content-length:'],
    ['a length that no number holds', 'content-length: 99999999999999999999'],
    ['a length spelt with an underscore', 'content_length: 4'],
    ['an encoding spelt with an underscore', 'transfer_encoding: chunked'],
    ['two encodings', 'transfer-encoding: chunked\r\ntransfer-encoding: chunked'],
    ['chunked twice in one header', 'transfer-encoding: chunked, chunked'],
    ['another encoding', 'transfer-encoding: gzip, chunked'],
    ['chunked before another encoding', 'transfer-encoding: chunked, identity'],
    ['chunked with a vertical tab', 'transfer-encoding: \x0bchunked'],
    ['chunked after a blank before the colon', 'transfer-encoding : chunked'],
    ['chunked on a folded line', 'transfer-encoding:\r\n chunked'],
    ['a line that ends in a lone line feed', 'x: y\ntransfer-encoding: chunked'],
  ])('%s', async (_, headers) => {
    const upstream = await keep(startRawUpstream('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'))
    const proxy = await proxyTo(upstream.url)
    const answer = await ask(proxy.port, `POST / HTTP/1.1\r\nhost: x\r\n${headers}\r\n\r\n`)
    expect(answer.status).toBe(400)
    expect(answer.headers.connection).toBe('close')
    expect(upstream.connections.join('')).toBe('')
  })

  // Node's parser gives the request out first, and then ends the connection, perhaps before the answer is out.
  test.each(['identity', 'chunkedx'])('the encoding %s', async (encoding) => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url)
    const head = `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: ${encoding}\r\n\r\n`
    expect(await sendRaw(proxy.port, head + chunked, { until: () => false })).toMatch(/^(HTTP\/1\.1 400|$)/)
    expect(proxy.results).toMatchObject([{ code: 'invalid_framing' }])
    expect(upstream.requests).toHaveLength(0)
  })

  test('chunked on HTTP/1.0', async () => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url)
    const answer = await ask(proxy.port, `POST / HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${chunked}`)
    expect(answer.status).toBe(400)
    expect(upstream.requests).toHaveLength(0)
  })

  test.each(['0.9', '2.0', '1.2'])('HTTP/%s in text', async (version) => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url)
    expect((await ask(proxy.port, `GET / HTTP/${version}\r\nhost: x\r\n\r\n`)).status).toBe(400)
    expect(upstream.requests).toHaveLength(0)
  })

  test('a second Host or Authorization', async () => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url)
    for (const header of ['Host: y', 'hOST: x', 'authorization: a\r\nAuthorization: b']) {
      expect((await ask(proxy.port, `GET / HTTP/1.1\r\nhost: x\r\n${header}\r\n\r\n`)).status).toBe(400)
    }
    expect(upstream.requests).toHaveLength(0)
  })

  test.each([
    ['a lone line feed in a chunk extension', '2;x\nok\r\n0\r\n\r\n'],
    ['a lone line feed after a chunk length', '2\nok\r\n0\r\n\r\n'],
    ['a chunk longer than it says', '2\r\nokk\r\n0\r\n\r\n'],
    ['a chunk length with a prefix', '0x2\r\nok\r\n0\r\n\r\n'],
  ])('%s: the body is not ended for the upstream', async (_, body) => {
    const upstream = await keep(startRawUpstream(() => {}))
    const proxy = await proxyTo(upstream.url)
    await sendRaw(proxy.port, `POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${body}${smuggled}`, {
      until: (text) => text.includes('\r\n\r\n'),
    })
    await until(() => proxy.results.length === 1)
    expect(upstream.connections.join('')).not.toContain('0\r\n\r\n')
    expect(upstream.connections.join('')).not.toContain('/admin')
  })
})

withEachEngine(({ keep, proxyTo }) => {
  describe('a body is a body, whatever the method is:', () => {
    const methods = ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PUT', 'PROPFIND']
    const lengths = [
      ['chunked', `transfer-encoding: chunked\r\n\r\n${chunked}`],
      ['with a length', `content-length: ${smuggled.length}\r\n\r\n${smuggled}`],
    ] as const
    const cases = methods.flatMap((method) => lengths.map(([kind, bytes]) => [method, kind, bytes] as const))

    test.each(cases)('%s %s', async (method, _, bytes) => {
      const upstream = await keep(startUpstream())
      const proxy = await proxyTo(upstream.url)
      for (const turn of [1, 2]) {
        await ask(proxy.port, `${method} /open HTTP/1.1\r\nhost: x\r\n${bytes}`, { head: method === 'HEAD' })
        expect(upstream.requests.map((seen) => seen.url)).toEqual(Array(turn).fill('/open'))
        expect(upstream.requests.at(-1)?.body().toString()).toBe(smuggled)
      }
    })

    test.each(cases)('%s %s, and no header makes the gateway forget its length', async (method, _, bytes) => {
      const upstream = await keep(startUpstream())
      const proxy = await proxyTo(upstream.url)
      const listing = 'connection: content-length, transfer-encoding, host, te, trailer'
      await ask(proxy.port, `${method} /open HTTP/1.1\r\nhost: x\r\n${listing}\r\n${bytes}`, {
        head: method === 'HEAD',
      })
      expect(upstream.requests.map((seen) => seen.url)).toEqual(['/open'])
      expect(upstream.requests[0]?.body().toString()).toBe(smuggled)
    })

    test('a chunked body keeps the connection for the next request, with exactly one length', async () => {
      const upstream = await keep(
        startRawUpstream((socket, received) => {
          if (received.endsWith('0\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
        }),
      )
      const proxy = await proxyTo(upstream.url)
      for (let turn = 0; turn < 2; turn++)
        await ask(proxy.port, 'DELETE / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n')
      expect(upstream.connections).toHaveLength(1)
      expect(upstream.connections[0]?.match(/transfer-encoding: chunked/gi)).toHaveLength(2)
      expect(upstream.connections[0]).not.toMatch(/content-length/i)
    })

    test('a body that breaks off is never ended for the upstream', async () => {
      const upstream = await keep(startRawUpstream(() => {}))
      const proxy = await proxyTo(upstream.url)
      await sendRaw(proxy.port, 'POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n', {
        timeout: 100,
        until: () => false,
      }).catch(() => {})
      await until(() => proxy.results.length === 1)
      expect(upstream.connections[0]).toContain('hello')
      expect(upstream.connections[0]).not.toContain('0\r\n\r\n')
      expect(proxy.results[0]).toMatchObject({ code: 'caller_gone' })
    })
  })

  test('a Trailer header without a body, which once ended the process, is left out', async () => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url)
    const answer = await ask(proxy.port, 'GET / HTTP/1.1\r\nhost: x\r\ntrailer: x-a\r\n\r\n')
    expect(answer.status).toBe(200)
    expect(upstream.requests[0]?.headers).not.toHaveProperty('trailer')
  })

  test('the trailers of a chunked body do not become headers, nor reach the upstream', async () => {
    const upstream = await keep(
      startRawUpstream((socket, received) => {
        if (received.endsWith('0\r\n\r\n')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
      }),
    )
    const proxy = await proxyTo(upstream.url)
    await ask(
      proxy.port,
      'POST / HTTP/1.1\r\nhost: x\r\ntrailer: x-user\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nx-user: admin\r\n\r\n',
    )
    expect(upstream.connections[0]).not.toContain('x-user')
  })

  test('an Upgrade with a body is forwarded as the request that it is, without the Upgrade', async () => {
    const upstream = await keep(startUpstream())
    const proxy = await proxyTo(upstream.url)
    const received = await sendRaw(
      proxy.port,
      `POST / HTTP/1.1\r\nhost: x\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\ncontent-length: ${smuggled.length}\r\n\r\n${smuggled}`,
    )
    expect(parseAnswers(received)[0]?.status).toBe(200)
    expect(upstream.requests).toHaveLength(1)
    for (const name of ['upgrade', 'http2-settings']) expect(upstream.requests[0]?.headers).not.toHaveProperty(name)
  })
})
