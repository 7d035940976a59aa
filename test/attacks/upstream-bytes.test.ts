/**
 * The attack, from the other side: whoever has taken over one service behind the gateway, or only makes it say what is no
 * HTTP, wants to reach the other callers: with an answer that is longer than it says, with two where one was asked for,
 * with headers that end early. Each sequence here is sent while a second caller uses the same connections, before it, at
 * the same time and after it; and every byte of that caller's answers is compared. RFC 9112 sections 6.3 and 9.
 */
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { parseAnswers } from '../harness/raw-client.ts'
import { readRequests } from '../harness/strict-http.ts'
import { type RawUpstream, startRawUpstream } from '../harness/upstream.ts'

/** Stands in what no caller may take for an answer, or for a header of one. */
const marker = 'x-stolen'
const stolen = `HTTP/1.1 200 OK\r\ncontent-length: 6\r\n${marker}: yes\r\n\r\nstolen`
const ok = 'HTTP/1.1 200 OK\r\n'
const length = (text: string) => `content-length: ${text.length}\r\n`
const chunked = 'transfer-encoding: chunked\r\n'

interface Hostile {
  readonly name: string
  /** What the upstream sends for the request, and whether it closes then. */
  readonly bytes: string
  readonly closes?: true
  readonly head?: true
  /** What the caller gets: `502 code`, `200 body`, or `cut` where the answer had begun. */
  readonly gets: string
}

const invalid = '502 upstream_invalid_response'
const broken = '502 upstream_unreachable'
const refused = (name: string, bytes: string, gets = invalid): Hostile => ({ name, bytes, gets })
/** The upstream closes the connection behind it. */
const closing = (name: string, bytes: string, gets: string): Hostile => ({ name, bytes, gets, closes: true })
const passes = (name: string, bytes: string, gets: string): Hostile => ({ name, bytes, gets })

const statuses: Hostile[] = [
  ...['000', '001', '099', '600', '700', '999'].map((status) =>
    refused(`status ${status}`, `HTTP/1.1 ${status} X\r\n${length('ok')}\r\nok`),
  ),
  ...['99', '20', '2000', '-200', '+200', '0x200', '2OO', '20 0', ''].map((status) =>
    refused(`status "${status}"`, `HTTP/1.1 ${status} X\r\n${length('ok')}\r\nok`),
  ),
  refused(
    'an uninvited 101',
    `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n${stolen}`,
  ),
  refused(
    'an uninvited 101 for h2c',
    `HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n${stolen}`,
  ),
  refused('a 101 without Upgrade', `HTTP/1.1 101 Switching Protocols\r\n\r\n${stolen}`),
  passes(
    'a hundred interim answers',
    `${'HTTP/1.1 102 Processing\r\n\r\n'.repeat(100)}${ok}${length('ok')}\r\nok`,
    '200 ok',
  ),
  passes(
    'a 103 with headers',
    `HTTP/1.1 103 Early Hints\r\n${marker}: yes\r\n\r\n${ok}${length('ok')}\r\nok`,
    '200 ok',
  ),
  refused('interim answers without end', 'HTTP/1.1 102 Processing\r\n\r\n'.repeat(5000), '504 upstream_timeout'),
  // It has none by definition: what looks like one is the answer, and what follows nobody asked for.
  passes(
    'an interim answer with a body',
    `HTTP/1.1 100 Continue\r\n${length(ok)}\r\n${ok}${length('ok')}\r\nok${stolen}`,
    '200 ok',
  ),
  refused('an interim answer in chunks', `HTTP/1.1 103 X\r\n${chunked}\r\n2\r\nok\r\n0\r\n\r\n`),
]

const protocols: Hostile[] = [
  closing('nothing', '', broken),
  closing('half a status line', 'HTTP/1.1 2', broken),
  closing('half of the headers', `${ok}${length('ok')}`, broken),
  refused('HTTP/0.9', '<html>stolen</html>'),
  refused('the greeting of SSH', 'SSH-2.0-OpenSSH_9.9\r\n'),
  refused('the preface and frames of HTTP/2', '\x00\x00\x12\x04\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x64'),
  refused('HTTP/2 in text', `HTTP/2.0 200 OK\r\n${length('ok')}\r\nok`),
  refused('HTTP/1.2', `HTTP/1.2 200 OK\r\n${length('ok')}\r\nok`),
  refused('HTTP/0.9 in text', `HTTP/0.9 200 OK\r\n${length('ok')}\r\nok`),
  refused('http in lower case', `http/1.1 200 OK\r\n${length('ok')}\r\nok`),
  refused('ICY', `ICY 200 OK\r\n${length('ok')}\r\nok`),
  passes('RTSP, which is read as HTTP/1.0', `RTSP/1.0 200 OK\r\n${length('ok')}\r\nok`, '200 ok'),
  refused('a request', 'GET /stolen HTTP/1.1\r\nhost: a\r\n\r\n'),
  refused('the alert of TLS', '\x15\x03\x01\x00\x02\x02\x46'),
  refused('a blank before the status line', ` ${ok}${length('ok')}\r\nok`),
  refused('only line feeds', 'HTTP/1.1 200 OK\ncontent-length: 2\n\nok'),
]

const framings: Hostile[] = [
  refused('two lengths that differ', `${ok}content-length: 2\r\ncontent-length: 9\r\n\r\nok${stolen}`),
  refused('two lengths that agree', `${ok}content-length: 2\r\ncontent-length: 2\r\n\r\nok`),
  refused('a list of lengths', `${ok}content-length: 2, 2\r\n\r\nok`),
  refused('a length with a plus', `${ok}content-length: +2\r\n\r\nok`),
  refused('a length with a minus', `${ok}content-length: -2\r\n\r\nok`),
  refused('a hexadecimal length', `${ok}content-length: 0x2\r\n\r\nok`),
  refused('no length behind the colon', `${ok}content-length:\r\n\r\nok`),
  refused('a length that overflows 64 bits', `${ok}content-length: 18446744073709551618\r\n\r\nok`),
  refused('a blank before the colon of a length', `${ok}content-length : 2\r\n\r\nok`),
  refused('a length beside chunked', `${ok}content-length: 2\r\n${chunked}\r\n2\r\nok\r\n0\r\n\r\n`),
  refused('chunked beside a length', `${ok}${chunked}content-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
  refused('chunked twice', `${ok}${chunked}${chunked}\r\n2\r\nok\r\n0\r\n\r\n`),
  refused('another encoding', `${ok}transfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
  refused('an encoding that is not chunked', `${ok}transfer-encoding: identity\r\n\r\nok`),
  refused('an encoding behind a vertical tab', `${ok}transfer-encoding: \x0bchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
  refused('chunked on HTTP/1.0', `HTTP/1.0 200 OK\r\n${chunked}\r\n2\r\nok\r\n0\r\n\r\n`),
  closing('a body that is shorter than it says', `${ok}content-length: 9\r\n\r\nok`, 'cut'),
  closing('chunks without their end', `${ok}${chunked}\r\n2\r\nok\r\n`, 'cut'),
  closing('a body that lasts until the connection is closed', `${ok}\r\nok`, '200 ok'),
  refused('a chunk length that is no number', `${ok}${chunked}\r\nzz\r\nok\r\n0\r\n\r\n`, 'cut'),
  refused('a chunk length that overflows', `${ok}${chunked}\r\n10000000000000002\r\nok\r\n0\r\n\r\n`, 'cut'),
  refused('a chunk longer than it says', `${ok}${chunked}\r\n2\r\nokk\r\n0\r\n\r\n`, 'cut'),
  refused('a line feed alone in a chunk extension', `${ok}${chunked}\r\n2;a\nok\r\n0\r\n\r\n`, 'cut'),
  refused('a trailer without a colon', `${ok}${chunked}\r\n2\r\nok\r\n0\r\nstolen\r\n\r\n`, 'cut'),
  refused('extensions without end', `${ok}${chunked}\r\n2;${'a'.repeat(20_000)}\r\nok\r\n0\r\n\r\n`, 'cut'),
  passes('a chunk extension', `${ok}${chunked}\r\n2;a=b\r\nok\r\n0\r\n\r\n`, '200 ok'),
  passes('a trailer', `${ok}trailer: ${marker}\r\n${chunked}\r\n2\r\nok\r\n0\r\n${marker}: yes\r\n\r\n`, '200 ok'),
  passes('Trailer beside a length', `${ok}trailer: ${marker}\r\n${length('ok')}\r\nok`, '200 ok'),
  passes('Trailer, and neither chunks nor a trailer', `${ok}trailer: x\r\ncontent-length: 0\r\n\r\n`, '200 '),
]

/** The right answer, and behind it a second one that nobody asked for. */
const seconds: Hostile[] = [
  passes('behind a length', `${ok}${length('ok')}\r\nok${stolen}`, '200 ok'),
  passes('behind chunks', `${ok}${chunked}\r\n2\r\nok\r\n0\r\n\r\n${stolen}`, '200 ok'),
  passes('behind nothing', `${ok}content-length: 0\r\n\r\n${stolen}`, '200 '),
  passes('behind a 204', `HTTP/1.1 204 No Content\r\n\r\n${stolen}`, '204 '),
  passes('as the body of a 204', `HTTP/1.1 204 No Content\r\n${length(stolen)}\r\n${stolen}`, '204 '),
  passes(
    'as the chunks of a 204',
    `HTTP/1.1 204 No Content\r\n${chunked}\r\n${stolen.length.toString(16)}\r\n${stolen}\r\n0\r\n\r\n`,
    '204 ',
  ),
  passes('as the body of a 304', `HTTP/1.1 304 Not Modified\r\n${length(stolen)}\r\n${stolen}`, '304 '),
  passes('behind a 304', `HTTP/1.1 304 Not Modified\r\n\r\n${stolen}`, '304 '),
  { name: 'as the body of an answer to HEAD', bytes: `${ok}${length(stolen)}\r\n${stolen}`, head: true, gets: '200 ' },
  { name: 'behind an answer to HEAD', bytes: `${ok}content-length: 0\r\n\r\n${stolen}`, head: true, gets: '200 ' },
  passes('ten times', `${ok}${length('ok')}\r\nok${stolen.repeat(10)}`, '200 ok'),
  passes('only its beginning', `${ok}${length('ok')}\r\nok${stolen.slice(0, 9)}`, '200 ok'),
  passes('of an interim status', `${ok}${length('ok')}\r\nokHTTP/1.1 100 Continue\r\n\r\n${stolen}`, '200 ok'),
  passes('behind Connection: close', `${ok}connection: close\r\n${length('ok')}\r\nok${stolen}`, '200 ok'),
]

const headers: Hostile[] = [
  refused('a carriage return alone in a value', `${ok}x: y\r${marker}: yes\r\n${length('ok')}\r\nok`),
  refused('a line feed alone in a value', `${ok}x: y\n${marker}: yes\r\n${length('ok')}\r\nok`),
  refused('a folded line', `${ok}x: y\r\n ${marker}: yes\r\n${length('ok')}\r\nok`),
  refused('a NUL in a value', `${ok}x: y\x00\r\n${length('ok')}\r\nok`),
  refused('a control character in a value', `${ok}x: \x01\r\n${length('ok')}\r\nok`),
  refused('a line without a colon', `${ok}stolen\r\n${length('ok')}\r\nok`),
  refused('a line without a name', `${ok}: stolen\r\n${length('ok')}\r\nok`),
  refused('a blank in a name', `${ok}x y: z\r\n${length('ok')}\r\nok`),
  refused('a byte above ASCII in a name', `${ok}\xe9: z\r\n${length('ok')}\r\nok`),
  refused('one header of 100 kB', `${ok}x: ${'y'.repeat(100_000)}\r\n${length('ok')}\r\nok`),
  refused('headers without end', `${ok}${'x: y\r\n'.repeat(20_000)}`),
  refused('very many headers', `${ok}${'a:\r\n'.repeat(1500)}${length('ok')}\r\nok`),
  refused('a reason without end', `HTTP/1.1 200 ${'y'.repeat(100_000)}\r\n${length('ok')}\r\nok`),
  passes('__proto__', `${ok}__proto__: ${marker}\r\nconstructor: x\r\n${length('ok')}\r\nok`, '200 ok'),
  passes(
    'Connection that lists the length',
    `${ok}connection: content-length, ${marker}\r\n${marker}: yes\r\n${length('ok')}\r\nok`,
    '200 ok',
  ),
  passes(
    'Connection that lists more',
    `${ok}connection: close, set-cookie, ${marker}\r\n${marker}: yes\r\n${length('ok')}\r\nok`,
    '200 ok',
  ),
  passes(
    'Keep-Alive, Upgrade and their kin',
    `${ok}keep-alive: ${marker}\r\nupgrade: ${marker}\r\nproxy-authenticate: ${marker}\r\nte: ${marker}\r\n${length('ok')}\r\nok`,
    '200 ok',
  ),
  passes('a reason of bytes above ASCII', `HTTP/1.1 200 \x80\xff\r\n${length('ok')}\r\nok`, '200 ok'),
  passes('a reason with a control character', `HTTP/1.1 200 a\x01b\r\n${length('ok')}\r\nok`, '200 ok'),
  passes('no reason', `HTTP/1.1 200\r\n${length('ok')}\r\nok`, '200 ok'),
]

let upstream: RawUpstream
let gateway: RunningGateway
let turn = 0

/** By target, what the upstream answers; everything else it answers as it should. */
const hostile = new Map<string, Hostile>()
const good = (target: string) => `this is ${target}`

beforeAll(async () => {
  const answered = new WeakMap<object, number>()
  upstream = await startRawUpstream((socket, received) => {
    const requests = readRequests(received).filter(({ complete }) => complete)
    for (const { target } of requests.slice(answered.get(socket) ?? 0)) {
      const { bytes, closes } = hostile.get(target) ?? { bytes: `${ok}${length(good(target))}\r\n${good(target)}` }
      if (closes) socket.end(bytes, 'latin1')
      else socket.write(bytes, 'latin1')
    }
    answered.set(socket, requests.length)
  })
  gateway = await startGateway(
    `routes: [{ path: /**, public: true, upstream: { url: "${upstream.url}", timeouts: { response: 500ms } } }]`,
  )
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop()]))

function testAll(cases: readonly Hostile[]): void {
  test.each(cases)('$name', async (each) => {
    const target = `/hostile/${++turn}`
    hostile.set(target, each)
    await expectGood(`/before/${turn}`)
    const [received] = await Promise.all([
      send(`${each.head ? 'HEAD' : 'GET'} ${target} HTTP/1.1\r\nhost: a\r\n\r\n`, `/behind/${turn}`, each.head),
      expectGood(`/beside/${turn}`),
    ])
    expect(tell(received.first, each.head)).toBe(each.gets)
    expect(received.first).not.toContain(marker)
    if (each.gets.startsWith('204')) expect(received.first).not.toMatch(/content-length|transfer-encoding/i)
    expect(received.first.replace(/"[^"]*"/g, '')).not.toContain('stolen')
    if (received.second !== '') expect(received.second).toBe(expected(`/behind/${turn}`))
    for (let after = 0; after < 3; after++) await expectGood(`/after/${turn}-${after}`)
  })
}

/** What a caller must get, to the byte. */
function expected(target: string): string {
  return `HTTP/1.1 200 OK\r\n${length(good(target))}Date: now\r\nConnection: keep-alive\r\nKeep-Alive: timeout=65\r\n\r\n${good(target)}`
}

async function expectGood(target: string): Promise<void> {
  const { first } = await send(`GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`)
  expect(first).toBe(expected(target))
}

function tell(received: string, head = false): string {
  const [answer, ...more] = parseAnswers(received)
  if (head) return `${answer?.status} ${received.slice(received.indexOf('\r\n\r\n') + 4)}`
  expect(more).toEqual([])
  if (!answer) return received === '' ? 'closed' : 'cut'
  if (!answer.complete && answer.headers.connection !== 'close') return 'cut'
  return `${answer.status} ${/"code":"(\w+)"/.exec(answer.body)?.[1] ?? answer.body}`
}

/** Sends a request, and another one on the same connection once the first is answered; then leaves. */
function send(bytes: string, next?: string, head = false): Promise<{ first: string; second: string }> {
  return new Promise((resolve, reject) => {
    const got = { first: '', second: '' }
    let which: 'first' | 'second' = 'first'
    const socket = connect(gateway.port, '127.0.0.1')
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no end, but: ${JSON.stringify(got)}`))
    }, 4000)
    socket.write(bytes)
    socket.on('data', (piece: Buffer) => {
      got[which] += piece.toString('latin1').replace(/Date: [^\r]*/, 'Date: now')
      const [answer] = parseAnswers(got[which])
      if (!answer || !(answer.complete || (head && which === 'first'))) return
      if (which === 'second' || next === undefined) socket.destroy()
      else if (answer.headers.connection !== 'close') socket.write(`GET ${next} HTTP/1.1\r\nhost: a\r\n\r\n`)
      which = 'second'
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(got)
    })
  })
}

describe('a status that is none', () => testAll(statuses))
describe('what is no HTTP/1.1', () => testAll(protocols))
describe('a length that is none', () => testAll(framings))
describe('a second answer', () => testAll(seconds))
describe('headers', () => testAll(headers))
