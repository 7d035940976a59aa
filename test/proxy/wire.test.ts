import { expect, test } from 'vitest'
import { ask } from '../harness/raw-client.ts'
import { startStrictUpstream } from '../harness/strict-upstream.ts'
import { startRawUpstream } from '../harness/upstream.ts'
import { withEachEngine } from './engines.ts'

const head = (method: string) => `${method} /a HTTP/1.1\r\nhost: api.example.com\r\nx-one: 1\r\n`
/** Those with which a body is usual say the length of none as well. */
const withLengthOfNone = new Set(['POST', 'PUT', 'PATCH', 'PROPFIND', 'QUERY'])
const bodies = [
  ['without a body', '\r\n', ''],
  ['with an empty body', 'content-length: 0\r\n\r\n', ''],
  ['with a length', 'content-length: 5\r\n\r\nhello', 'hello'],
  ['chunked', 'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n', 'hello'],
  ['chunked and empty', 'transfer-encoding: chunked\r\n\r\n0\r\n\r\n', ''],
] as const
const methods = ['GET', 'HEAD', 'DELETE', 'OPTIONS', 'POST', 'PUT', 'PATCH', 'PROPFIND']

function framingOf(method: string, kind: (typeof bodies)[number][0]): string[] {
  if (kind.startsWith('chunked')) return ['transfer-encoding: chunked']
  if (kind === 'with a length') return ['content-length: 5']
  return kind === 'with an empty body' || withLengthOfNone.has(method) ? ['content-length: 0'] : []
}

withEachEngine(({ keep, proxyTo }) => {
  test.each(methods.flatMap((method) => bodies.map((body) => [method, ...body] as const)))(
    '%s %s goes out with these headers and no others, on a new connection and on a kept one',
    async (method, kind, bytes, body) => {
      const upstream = await keep(startStrictUpstream())
      const proxy = await proxyTo(upstream.url)
      for (let turn = 0; turn < 2; turn++) await ask(proxy.port, head(method) + bytes, { head: method === 'HEAD' })
      const port = new URL(upstream.url).host
      const expected = [
        `host: ${port}`,
        'x-one: 1',
        'via: 1.1 scopegate-test',
        'x-forwarded-for: 127.0.0.1',
        'x-forwarded-proto: http',
        'x-forwarded-host: api.example.com',
        'connection: keep-alive',
        ...framingOf(method, kind),
      ]
      const seen = upstream.seen()
      expect(upstream.connections).toHaveLength(1)
      expect(seen).toHaveLength(2)
      for (const each of seen) {
        expect(each).toMatchObject({ method, target: '/a', body, complete: true })
        const lines = each.headers.map(([name, value]) => `${name.toLowerCase()}: ${value}`)
        expect(lines.sort()).toEqual(expected.sort())
      }
    },
  )

  test('repeated headers stay lines of their own, in their order, but for Cookie, which is one', async () => {
    const upstream = await keep(startStrictUpstream())
    const proxy = await proxyTo(upstream.url)
    const lines = ['X-Two: 1', 'Cookie: a=1', 'Accept: text/html', 'x-two: 2', 'cookie: b=2; c=3', 'accept: */*']
    await ask(proxy.port, `GET / HTTP/1.1\r\nhost: x\r\n${lines.join('\r\n')}\r\n\r\n`)
    const sent = upstream.seen()[0]?.headers ?? []
    expect(sent.filter(([name]) => ['x-two', 'cookie', 'accept'].includes(name.toLowerCase()))).toEqual([
      ['x-two', '1'],
      ['x-two', '2'],
      ['cookie', 'a=1; b=2; c=3'],
      ['accept', 'text/html'],
      ['accept', '*/*'],
    ])
  })

  test.each(bodies)('bytes above ASCII in headers arrive as they came, %s', async (_, bytes) => {
    const upstream = await keep(startStrictUpstream())
    const proxy = await proxyTo(upstream.url)
    await ask(proxy.port, `${head('POST')}x-name: caf\xe9 \xc3\xa9\r\n${bytes}`)
    expect(upstream.seen()[0]?.headers).toContainEqual(['x-name', 'caf\xe9 \xc3\xa9'])
  })

  test('bytes above ASCII in the headers of an answer arrive as they came, though its body is yet to come', async () => {
    const upstream = await keep(
      startRawUpstream((socket) => {
        socket.write('HTTP/1.1 200 caf\xe9\r\nx-name: caf\xe9 \xc3\xa9\r\ncontent-length: 2\r\n\r\n', 'latin1')
        setTimeout(() => socket.write('ok'), 50)
      }),
    )
    const proxy = await proxyTo(upstream.url)
    const answer = await ask(proxy.port, `${head('GET')}\r\n`)
    expect(answer).toMatchObject({ reason: 'caf\xe9', headers: { 'x-name': 'caf\xe9 \xc3\xa9' }, body: 'ok' })
  })
})
