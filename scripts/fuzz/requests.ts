import { disguised, forbidden, spelt } from '../../test/attacks/hostile-targets.ts'
import { sampleKey } from '../../test/harness/web-socket.ts'
import { below, chance, pick, type Random } from '../random.ts'
import type { Sending } from './exchange.ts'
import { mutate, readAttackPieces } from './mutations.ts'

/** What stands for a token: the texts differ from run to run, and what is made of a seed must not. */
const words = { admin: 'ADMIN-TOKEN', reader: 'READER-TOKEN' }

const plainTargets = [
  ...[
    '/open/a',
    '/open',
    '/open/a?b=c',
    '/open/a/b/',
    '/admin',
    '/admin/keys',
    '/admin/a?b',
    '/out/a',
    '/dead/a',
    '/',
    '/x',
  ],
  ...['/sockets/a', '/admin/sockets/a', '/open/%41', '/open/a%20b', '/out/a?access_token=READER-TOKEN'],
  ...['/admin/a?access_token=ADMIN-TOKEN', '*', 'a:80', 'http://a/open/a', 'http://admin/admin/keys'],
]
const methods = ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'HEAD', 'OPTIONS', 'TRACE', 'CONNECT', 'QUERY']
const rareMethods = ['PROPFIND', 'M-SEARCH', 'PURGE', 'get', 'GETS', 'PRI', 'LINK', 'SOURCE', 'MKCALENDAR']
const versions = ['HTTP/1.0', 'HTTP/1.0', 'HTTP/0.9', 'HTTP/1.2', 'HTTP/2.0', 'http/1.1', 'RTSP/1.0', 'ICE/1.0']

const headerLines = [
  ...['Transfer-Encoding: chunked', 'Transfer-Encoding: identity', 'Transfer-Encoding: gzip, chunked', 'TE: trailers'],
  ...['Transfer-Encoding : chunked', 'Transfer-Encoding:\x0bchunked', 'Content-Length: 5', 'Content-Length: 5, 5'],
  ...['Content-Length: +5', 'Content-Length: 0', 'Content-Length: 99999999999999999999', 'content-length: 3'],
  ...['Expect: 100-continue', 'Expect: 200-ok', 'Connection: close', 'Connection: keep-alive, x-client-id'],
  ...['Connection: authorization, host, content-length', 'Keep-Alive: timeout=1', 'Proxy-Connection: close'],
  ...['Upgrade: websocket', 'Connection: Upgrade', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA'],
  ...['Sec-WebSocket-Version: 13', `Sec-WebSocket-Key: ${sampleKey}`, 'Sec-WebSocket-Protocol: a, b'],
  ...['Host: b', 'Host: a, b', 'Host: [::1]:80', 'Host: user@a', 'Host:', 'hOST: a'],
  ...['Authorization: Bearer ADMIN-TOKEN', 'Authorization: Bearer READER-TOKEN', 'Authorization: Basic YTpi'],
  ...['Authorization: bearer  ADMIN-TOKEN', 'Authorization: Bearer', 'Authorization: DPoP ADMIN-TOKEN'],
  ...['X-Client-Id: the-admin', 'X_Client_Id: the-admin', 'x-client-id : the-admin', 'X-Client-Id:\r\n the-admin'],
  ...['X-Forwarded-For: 10.0.0.1', 'X-Forwarded-Uri: /admin', 'X-Original-URL: /admin', 'Forwarded: for=10.0.0.1'],
  ...['X-HTTP-Method-Override: DELETE', 'X-Method-Override: PUT', 'Via: 1.1 a', 'Origin: https://evil.example'],
  ...[
    'Sec-Fetch-Site: cross-site',
    'Trailer: x-a',
    '__proto__: x',
    'constructor: x',
    'toString: x',
    ': x',
    'x',
    ' folded',
  ],
  ...[
    'Cookie: a=b',
    'Accept-Encoding: gzip',
    'Range: bytes=0-',
    'If-None-Match: "a"',
    'X: \xff\xfe',
    'X: a\0b',
    'X: a\rb',
  ],
  ...[
    `X: ${'a'.repeat(9000)}`,
    `X: ${'a'.repeat(30_000)}`,
    Array.from({ length: 120 }, (_, at) => `X-${at}: y`).join('\r\n'),
  ],
]

const bodies = [
  '5\r\nhello\r\n0\r\n\r\n',
  '5;a=b\r\nhello\r\n0\r\nx-a: y\r\n\r\n',
  '0\r\n\r\n',
  '5\r\nhel',
  'hello',
  'FFFFFFFFFFFFFFFF\r\n',
  '-1\r\n\r\n',
  '5\nhello\n0\n\n',
  `${(20_000).toString(16)}\r\n${'b'.repeat(20_000)}\r\n0\r\n\r\n`,
  'GET /admin/keys HTTP/1.1\r\nHost: a\r\n\r\n',
]

const attackPieces = readAttackPieces()
const pieces = [...attackPieces, ...headerLines, ...bodies, ...spelt, ...disguised, '\r\n', '\r\n\r\n', '\n\n']

/** What a seed makes; the tokens are put in when it is sent. */
export type RequestCase = Sending

export function createRequestCase(random: Random): RequestCase {
  const count = chance(random, 0.3) ? 1 + below(random, 4) : 1
  const whole = Array.from({ length: count }, () => createRequest(random)).join('')
  const bytes = chance(random, 0.4) ? whole : mutate(random, whole, pieces, chance(random, 0.7) ? 2 : 5)
  return { bytes, ...createManners(random, bytes) }
}

export function createManners(random: Random, bytes: string): Omit<Sending, 'bytes'> {
  const cuts = chance(random, 0.25) ? Array.from({ length: 3 }, () => below(random, bytes.length + 1)) : []
  const manner = chance(random, 0.93) ? 'ends' : chance(random, 0.5) ? 'breaks' : 'waits'
  return { listener: chance(random, 0.1) ? 'tls' : 'main', cuts, manner }
}

function createRequest(random: Random): string {
  if (chance(random, 0.06)) return pick(random, attackPieces)
  if (chance(random, 0.12)) return createSocketRequest(random)
  const method = pick(random, chance(random, 0.06) ? rareMethods : methods)
  const lines = Array.from({ length: Math.max(0, below(random, 5) - 1) }, () => pick(random, headerLines))
  const body = createBody(random, method)
  const first = `${method} ${createTarget(random)} ${chance(random, 0.93) ? 'HTTP/1.1' : pick(random, versions)}`
  return [first, ...(chance(random, 0.95) ? ['Host: a'] : []), ...lines, ...body.lines, '', body.bytes].join('\r\n')
}

function createTarget(random: Random): string {
  if (chance(random, 0.6)) return pick(random, plainTargets)
  return pick(random, pick(random, [disguised, forbidden, spelt]))
}

/** Mostly as it should be: what is refused for its framing tells nothing of the rest. */
function createBody(random: Random, method: string): { readonly lines: readonly string[]; readonly bytes: string } {
  if (/^(GET|HEAD)$/.test(method) && chance(random, 0.9)) return { lines: [], bytes: '' }
  const bytes = pick(random, bodies)
  if (chance(random, 0.5)) return { lines: [`Content-Length: ${bytes.length}`], bytes }
  return { lines: ['Transfer-Encoding: chunked'], bytes: chance(random, 0.5) ? '5\r\nhello\r\n0\r\n\r\n' : bytes }
}

function createSocketRequest(random: Random): string {
  const lines = [
    `GET ${pick(random, ['/sockets/a', '/admin/sockets/a', '/open/a', '/out/a', '/x'])} HTTP/1.1`,
    ...['Host: a', 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13'],
    `Sec-WebSocket-Key: ${sampleKey}`,
    ...Array.from({ length: below(random, 3) }, () => pick(random, headerLines)),
  ]
  const behind = pick(random, [
    '',
    '',
    '\x81\x05hello',
    'GET /admin/keys HTTP/1.1\r\nHost: a\r\n\r\n',
    '\0'.repeat(20_000),
  ])
  return `${lines.join('\r\n')}\r\n\r\n${behind}`
}

/** The bytes as they are sent. */
export function withTokens(bytes: string, tokens: Readonly<Record<keyof typeof words, string>>): string {
  return bytes.replaceAll(words.admin, tokens.admin).replaceAll(words.reader, tokens.reader)
}
