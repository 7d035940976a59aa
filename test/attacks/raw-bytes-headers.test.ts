/**
 * The attack: a header line that one parser takes for a header and another for none, for a part of the line before, or
 * for the end of the headers. With it the gateway reads a request without a token where the server behind reads one with,
 * another host than the one that it decided by, or one request where there are two. The rule of RFC 9112 section 5 is
 * that a server refuses such lines, and that nobody mends them on the way.
 */
import { describe } from 'vitest'
import { get, hidden, marker, post, type RawCase, refused, testRawCases } from './guarded.ts'

const duplicate = '400 duplicate_header'
const host = '400 invalid_host'
const bearer = (token: string) => `Authorization: Bearer ${token}`
const admin = (lines: string) => `GET /admin/keys HTTP/1.1\r\nHost: a\r\n${lines}\r\n\r\n`
const withHost = (lines: string) => `GET /open/a HTTP/1.1\r\n${lines}\r\n\r\n`
/** One header line as it stands, with everything else as it should be. */
const line = (name: string, text: string) => refused(name, get(text))
/** A request that goes to the upstream as this one request, whatever stands in its headers. */
const passes = (name: string, bytes: string, seen = 'GET /open/a'): RawCase => ({
  name,
  bytes,
  answers: [`200 seen: ${seen.split(':')[0]}`],
  seen: [seen],
})

const lineEnds: RawCase[] = [
  refused('only line feeds', 'GET /open/a HTTP/1.1\nHost: a\n\n'),
  refused('a line feed alone behind the request line', 'GET /open/a HTTP/1.1\nHost: a\r\n\r\n'),
  refused('a line feed alone behind Host', 'GET /open/a HTTP/1.1\r\nHost: a\n\r\n'),
  line('a line feed alone between two headers', 'X: y\nX-Two: z'),
  line('a line feed alone that hides a token', 'X: y\nAuthorization: Bearer x'),
  refused('a line feed alone behind the last header', 'GET /open/a HTTP/1.1\r\nHost: a\r\nX: y\n\n'),
  refused('two line feeds that end the headers early', `GET /open/a HTTP/1.1\r\nHost: a\r\nX: y\n\n${hidden}`),
  refused('a line feed and no carriage return at the very end', `GET /open/a HTTP/1.1\r\nHost: a\r\n\n${hidden}`),
  refused('only carriage returns', 'GET /open/a HTTP/1.1\rHost: a\r\r'),
  line('a carriage return alone in a value', 'X: y\rX-Two: z'),
  line('a carriage return alone that hides a header', `X: y\r${marker}: yes`),
  line('two carriage returns before the line feed', 'X: y\r\r\nX-Two: z'),
  line('a line feed before the carriage return', 'X: y\n\rX-Two: z'),
  line('a carriage return at the beginning of a line', '\rX: y'),
  refused('an end of headers in line feeds inside a value', `GET /open/a HTTP/1.1\r\nHost: a\r\nX: a\n\n${hidden}`),
]

const folds: RawCase[] = [
  line('a value that goes on behind a blank', 'X: y\r\n z'),
  line('a value that goes on behind a tab', 'X: y\r\n\tz'),
  line('an empty value that goes on', 'X:\r\n y'),
  line('a folded line that looks like a token', 'X: y\r\n Authorization: Bearer x'),
  refused('a folded Host', withHost('Host: a\r\n .example')),
  refused('a folded token', (token) => admin(`Authorization: Bearer\r\n ${token}`)),
  line('a line of one blank', 'X: y\r\n '),
  refused('a blank before the first header', 'GET /open/a HTTP/1.1\r\n Host: a\r\n\r\n'),
  refused('a tab before the first header', 'GET /open/a HTTP/1.1\r\n\tHost: a\r\n\r\n'),
  refused('a folded line behind the request line', 'GET /open/a HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n'),
  refused('an empty line and a folded one behind the request line', 'GET /open/a HTTP/1.1\r\n \r\nHost: a\r\n\r\n'),
]

const names: RawCase[] = [
  line('a blank before the colon', 'X : y'),
  line('a tab before the colon', 'X\t: y'),
  refused('a blank behind Host', withHost('Host : a')),
  refused('a blank behind Authorization', (token) => admin(`Authorization : Bearer ${token}`)),
  line('no name', ': y'),
  line('no colon', 'X'),
  line('no colon, and it looks like a request line', 'GET /admin/keys HTTP/1.1'),
  line('a blank within a name', 'X Y: z'),
  line('a NUL in a name', 'X\x00Y: z'),
  line('a control character in a name', 'X\x01: y'),
  line('DEL in a name', 'X\x7f: y'),
  line('a byte above ASCII in a name', 'X\xe9: y'),
  line('a Kelvin sign in a name', '\xe2\x84\xaaeep-Alive: y'),
  line('a bracket in a name', 'X[0]: y'),
  line('a brace in a name', 'X{0}: y'),
  line('a parenthesis in a name', 'X(y): z'),
  line('a quote in a name', '"X": y'),
  line('a slash in a name', 'X/Y: z'),
  line('a comma in a name', 'X,Y: z'),
  line('a semicolon in a name', 'X;Y: z'),
  line('an equals sign in a name', 'X=Y: z'),
  line('an at sign in a name', 'X@Y: z'),
  line('a question mark in a name', 'X?: y'),
  line('a backslash in a name', 'X\\Y: z'),
  line('angle brackets in a name', '<X>: y'),
]

const values: RawCase[] = [
  line('a NUL in a value', 'X: y\x00z'),
  line('a NUL behind a value', 'X: y\x00'),
  refused('a NUL in Host', withHost('Host: a\x00.example')),
  refused('a NUL in a token', (token) => admin(`Authorization: Bearer ${token}\x00`)),
  line('a control character in a value', 'X: y\x01'),
  line('a vertical tab before a value', 'X:\x0by'),
  line('a form feed behind a value', 'X: y\x0c'),
  line('a backspace in a value', 'X: y\x08z'),
  line('an escape character in a value', 'X: \x1b[2J'),
  line('DEL in a value', 'X: y\x7f'),
  passes('a tab in a value', get('X: y\tz')),
  passes('bytes above ASCII in a value', get('X: caf\xe9 \xc3\xa9 \x85\xa0')),
  passes('a colon before the value', get('X:: y')),
  passes('line ends that are percent-encoded', get(`X: y%0d%0a${'x-other'}: yes`)),
  passes('an empty value', get('X:')),
  passes('a name of ordinary but odd characters', get("!#$%&'*+.^_`|~: y")),
  passes('a header called __proto__', get('__proto__: y\r\nconstructor: z')),
]

const duplicates: RawCase[] = [
  refused('two Host lines that differ', withHost('Host: a\r\nHost: admin'), duplicate),
  refused('two Host lines that agree', withHost('Host: a\r\nHost: a'), duplicate),
  refused('two Host lines in two letter cases', withHost('Host: a\r\nhOST: b'), duplicate),
  refused('two Host lines with others between', withHost('Host: a\r\nX: y\r\nHost: b'), duplicate),
  refused('an empty Host line and another', withHost('Host:\r\nHost: a'), duplicate),
  refused('two tokens, the first good', (token) => admin(`${bearer(token)}\r\n${bearer('x')}`), duplicate),
  refused('two tokens, the second good', (token) => admin(`${bearer('x')}\r\n${bearer(token)}`), duplicate),
  refused('one token twice', (token) => admin(`${bearer(token)}\r\n${bearer(token)}`), duplicate),
  refused('a token and an empty Authorization', (token) => admin(`${bearer(token)}\r\nAuthorization:`), duplicate),
  refused('two schemes', (token) => admin(`Authorization: Basic YTpi\r\n${bearer(token)}`), duplicate),
  refused('two tokens in two letter cases', (token) => admin(`${bearer(token)}\r\nAUTHORIZATION: Bearer x`), duplicate),
  {
    name: 'two tokens in one line',
    bytes: (token) => admin(`${bearer(token)}, Bearer x\r\nConnection: close`),
    answers: ['401 invalid_token'],
  },
  refused('two Content-Length lines on a GET', get('Content-Length: 0\r\nContent-Length: 0')),
]

const hosts: RawCase[] = [
  refused('no Host', 'GET /open/a HTTP/1.1\r\n\r\n', host),
  line('a name that no server has', 'X: y\r\n: z'),
  refused('a list of hosts', withHost('Host: a, admin'), host),
  refused('two hosts with a blank', withHost('Host: a admin'), host),
  refused('userinfo in Host', withHost('Host: admin@a'), host),
  refused('a path in Host', withHost('Host: a/admin/keys'), host),
  refused('a query in Host', withHost('Host: a?x'), host),
  refused('a fragment in Host', withHost('Host: a#x'), host),
  refused('a backslash in Host', withHost('Host: a\\admin'), host),
  refused('a whole URL in Host', withHost('Host: http://a'), host),
  refused('a percent-encoded Host', withHost('Host: %61dmin'), host),
  refused('a byte above ASCII in Host', withHost('Host: \xe9'), host),
  refused('a port that is none', withHost('Host: a:x'), host),
  refused('two ports', withHost('Host: a:80:81'), host),
  refused('a port with a path', withHost('Host: a:80/admin'), host),
  refused('two final dots', withHost('Host: a..'), host),
  refused('brackets around a name', withHost('Host: [admin]'), host),
  refused('a bracket that nobody closes', withHost('Host: [::1'), host),
  refused('a quote in Host', withHost('Host: "a"'), host),
  refused('a semicolon in Host', withHost('Host: a;b'), host),
]

const connection: RawCase[] = [
  {
    name: 'Connection that lists the token',
    bytes: (token) => admin(`${bearer(token)}\r\nConnection: authorization, close`),
    answers: ['200 seen: GET /admin/keys'],
    seen: ['GET /admin/keys'],
  },
  passes(
    'Connection that lists Host and the length',
    post('Connection: host, content-length, via\r\nContent-Length: 2', 'ok'),
    'POST /open/a: ok',
  ),
  passes('Keep-Alive and Proxy-Connection', get('Keep-Alive: timeout=1\r\nProxy-Connection: close')),
  passes('TE: trailers', get('TE: trailers\r\nConnection: TE')),
  passes('Trailer without a body', get('Trailer: X-After')),
  passes(
    'an Upgrade to h2c with a body',
    post(
      'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nContent-Length: 2',
      'ok',
    ),
    'POST /open/a: ok',
  ),
  passes('an Upgrade to TLS', get('Connection: Upgrade\r\nUpgrade: TLS/1.2')),
  passes('100-continue', post('Expect: 100-continue\r\nContent-Length: 2', 'ok'), 'POST /open/a: ok'),
  passes('100-continue in capitals', post('Expect: 100-CONTINUE\r\nContent-Length: 2', 'ok'), 'POST /open/a: ok'),
  refused('another expectation', post('Expect: 200-ok\r\nContent-Length: 2', 'ok'), '417 expectation_failed'),
  refused(
    '100-continue with something behind it',
    post('Expect: 100-continue, x\r\nContent-Length: 2', 'ok'),
    '417 expectation_failed',
  ),
  refused(
    'two expectations',
    post('Expect: 100-continue\r\nExpect: x\r\nContent-Length: 2', 'ok'),
    '417 expectation_failed',
  ),
  refused(
    'too many headers, the last of them an encoding',
    get(`${'X: y\r\n'.repeat(110)}Transfer-Encoding: chunked`),
    '431 headers_too_large',
  ),
  refused('headers that are too large', get(`X: ${'y'.repeat(30_000)}`), '431 headers_too_large'),
  refused('a name that is too large', get(`${'x'.repeat(30_000)}: y`), '431 headers_too_large'),
]

describe('line ends that are none', () => testRawCases(lineEnds))
describe('lines that go on', () => testRawCases(folds))
describe('names', () => testRawCases(names))
describe('values', () => testRawCases(values))
describe('headers that stand twice', () => testRawCases(duplicates))
describe('Host', () => testRawCases(hosts))
describe('headers about the connection', () => testRawCases(connection))
