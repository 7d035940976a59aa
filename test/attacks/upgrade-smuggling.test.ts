/**
 * WebSocket smuggling. A gateway that takes a request for an upgrade at its word stops reading: whatever follows on the
 * connection, either way, it passes on as raw bytes. So an attacker asks for a WebSocket in a way that the gateway takes
 * and the upstream does not (a wrong version, a bad key, another method, a body), or has the upstream answer something
 * that looks like 101 (a health check that fetches a URL of the attacker's, a cache). From then on the two speak HTTP
 * through a gateway that no longer looks: GET /admin, straight to the upstream, without a token. In the other direction,
 * an upstream that has been taken over answers a 101 of its own making, to put bytes in the mouth of the gateway.
 *
 * Here the connection becomes raw only when a request that is right in every part meets the one answer to it.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { parseAnswers } from '../harness/raw-client.ts'
import { type RawUpstream, startRawUpstream } from '../harness/upstream.ts'
import { openConnection, sampleAccept, sampleKey, socketAnswer, socketRequest } from '../harness/web-socket.ts'

const hidden = 'GET /admin HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Hidden: yes\r\n\r\n'
const good = socketRequest('/open')
const behind = 'HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison'

let upstream: RawUpstream
let gateway: RunningGateway
/** What the upstream answers. */
let answer = ''

beforeAll(async () => {
  upstream = await startRawUpstream((socket, received) => {
    if (received.endsWith('\r\n\r\n')) socket.write(answer, 'latin1')
  })
  gateway = await startGateway(`
routes:
  - { path: /open, public: true, upstream: "${upstream.url}" }
  - { path: /admin, callers: { networks: [192.0.2.0/24] }, upstream: "${upstream.url}" }
`)
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop()]))

/** Everything that the upstream has received so far. */
const seen = () => upstream.connections.join('')

describe('a request for a WebSocket that is none in some part is refused, and nothing behind it is read:', () => {
  const without = (name: string) => good.replace(new RegExp(`${name}: .*\r\n`, 'i'), '')
  const withLine = (line: string) => good.replace('\r\n\r\n', `\r\n${line}\r\n\r\n`)
  it.each<[string, string, number?]>([
    ['no version', without('sec-websocket-version')],
    ['an old version', good.replace('Version: 13', 'Version: 8')],
    ['a version that some read as another', good.replace('Version: 13', 'Version: 13, 8')],
    ['two versions', withLine('Sec-WebSocket-Version: 8')],
    ['no key', without('sec-websocket-key')],
    ['an empty key', good.replace(sampleKey, '')],
    ['a key of fifteen bytes', good.replace(sampleKey, Buffer.alloc(15).toString('base64'))],
    ['a key of seventeen bytes', good.replace(sampleKey, Buffer.alloc(17).toString('base64'))],
    ['a key that is not what it decodes to', good.replace(sampleKey, `${'A'.repeat(21)}B==`)],
    ['a key in base64url', good.replace(sampleKey, `${'-_'.repeat(10)}AA==`)],
    ['two keys', withLine(`Sec-WebSocket-Key: ${sampleKey}`)],
    ['a second protocol', good.replace('Upgrade: websocket', 'Upgrade: websocket, h2c')],
    ['a second protocol in a line of its own', withLine('Upgrade: h2c')],
    ['the same protocol twice', withLine('Upgrade: websocket')],
    ['another method', good.replace('GET', 'POST')],
    ['a method of WebDAV', good.replace('GET', 'PROPFIND')],
    ['HEAD', good.replace('GET', 'HEAD')],
    ['a body with its length', withLine(`Content-Length: ${hidden.length}`)],
    ['a body in chunks', withLine('Transfer-Encoding: chunked')],
    ['both framings', withLine('Content-Length: 5\r\nTransfer-Encoding: chunked')],
    ['a length of nothing, spelt in another way', withLine('Content-Length: 00')],
    ['two lengths of nothing', withLine('Content-Length: 0\r\nContent-Length: 0')],
    ['a transfer encoding that nobody knows', withLine('Transfer-Encoding: identity')],
    ['its key taken away by Connection', good.replace('Connection: Upgrade', 'Connection: Upgrade, Sec-WebSocket-Key')],
    ['its version taken away by Connection', withLine('Connection: sec-websocket-version')],
  ])('%s', async (_, bytes) => {
    const before = seen()
    answer = behind
    const received = await openConnection(gateway.port, bytes + hidden).closed
    const answers = parseAnswers(bytes.startsWith('HEAD') ? received.replace(/content-length: .*\r\n/i, '') : received)
    expect(answers.map(({ status }) => status)).toEqual([400])
    expect(answers[0]?.headers.connection).toBe('close')
    expect(seen()).toBe(before)
  })

  it.each([
    ['Upgrade alone', good.replace('Connection: Upgrade\r\n', '')],
    ['Connection alone', good.replace('Upgrade: websocket\r\n', '')],
    ['another protocol', good.replace('Upgrade: websocket', 'Upgrade: h2c')],
    ['a protocol that begins so', good.replace('Upgrade: websocket', 'Upgrade: websockets')],
    ['an upgrade hidden in Proxy-Connection', good.replace('Connection: Upgrade', 'Proxy-Connection: Upgrade')],
  ])(
    '%s is a request like any other: what is behind it is refused as ever, and the upstream sees no upgrade',
    async (_, bytes) => {
      const before = seen()
      answer = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
      const connection = openConnection(gateway.port, bytes)
      await connection.until((received) => received.endsWith('ok'))
      connection.socket.write(hidden)
      await connection.until((received) => received.includes('caller_not_allowed'))
      connection.socket.destroy()
      expect(parseAnswers(connection.received()).map(({ status }) => status)).toEqual([200, 403])
      const arrived = seen().slice(before.length)
      expect(arrived).not.toMatch(/upgrade|hidden|admin/i)
    },
  )
})

describe('an answer that is not the one to this request is 502, and no byte behind it reaches the caller:', () => {
  const right = socketAnswer()
  const withLine = (line: string) => socketAnswer(line)
  it.each([
    ['another key’s accept', right.replace(sampleAccept, Buffer.alloc(20).toString('base64'))],
    ['no accept', right.replace(/Sec-WebSocket-Accept: .*\r\n/, '')],
    ['two accepts', withLine(`Sec-WebSocket-Accept: ${sampleAccept}`)],
    ['the key given back', right.replace(sampleAccept, sampleKey)],
    ['another protocol', right.replace('Upgrade: websocket', 'Upgrade: h2c')],
    ['two protocols', right.replace('Upgrade: websocket', 'Upgrade: websocket, h2c')],
    ['two Upgrade headers', withLine('Upgrade: websocket')],
    ['no Upgrade', right.replace('Upgrade: websocket\r\n', '')],
    ['no Connection', right.replace('Connection: Upgrade\r\n', '')],
    ['Connection: close', right.replace('Connection: Upgrade', 'Connection: close')],
    ['a Transfer-Encoding', withLine('Transfer-Encoding: chunked')],
    ['a Content-Length', withLine('Content-Length: 0')],
    ['two subprotocols', withLine('Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b')],
    ['__proto__', withLine('__proto__: polluted')],
    ['HTTP/1.0', right.replace('HTTP/1.1', 'HTTP/1.0')],
    ['a header that no caller could read', withLine('X-Broken: a\u0001b')],
    ['more headers than are read', socketAnswer(...Array.from({ length: 1200 }, () => 'a: b'))],
    ['200 with the headers of an upgrade and no end', right.replace('101 Switching Protocols', '099 Odd')],
    ['what is no HTTP', 'SSH-2.0-OpenSSH_9.7\r\n\r\n'],
  ])('%s', async (_, bytes) => {
    answer = bytes + behind
    const received = await openConnection(gateway.port, good).closed
    const [first, ...more] = parseAnswers(received)
    expect([first?.status, more.length]).toEqual([502, 0])
    expect(received).not.toMatch(/poison|sec-websocket/i)
    expect(gateway.lastLine()).toMatchObject({ code: 'upstream_invalid_response' })
  })

  it('while the right one passes, without what concerns the connection alone', async () => {
    answer = socketAnswer(
      'Keep-Alive: timeout=5',
      'Proxy-Authenticate: Basic',
      'X-Kept: yes',
      'Set-Cookie: a=b',
      'Set-Cookie: c=d',
    )
    const connection = openConnection(gateway.port, good)
    await connection.until((received) => received.includes('\r\n\r\n'))
    connection.socket.destroy()
    const [first] = parseAnswers(connection.received())
    expect(first).toMatchObject({
      status: 101,
      headers: {
        upgrade: 'websocket',
        connection: 'Upgrade',
        'sec-websocket-accept': sampleAccept,
        'x-kept': 'yes',
        'set-cookie': 'a=b, c=d',
      },
    })
    for (const name of ['keep-alive', 'proxy-authenticate']) expect(first?.headers).not.toHaveProperty(name)
  })

  it('also an answer that was right, had it been asked for', async () => {
    answer = right + behind
    const received = await openConnection(gateway.port, 'GET /open HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
      .closed
    expect(parseAnswers(received).map(({ status }) => status)).toEqual([502])
    expect(received).not.toContain('poison')
  })
})
