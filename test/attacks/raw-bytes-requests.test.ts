/**
 * The attack: a request line that is nearly one, or bytes of another protocol. A server that makes the best of it finds
 * a method, a path or a version in it that this gateway did not judge; a proxy that passes on what it does not understand
 * speaks for its caller. And requests that come one behind the other, or break off, on a connection that served somebody
 * who had a token: what was allowed to the first is not allowed to the second.
 */
import { describe } from 'vitest'
import { chunk, get, hidden, marker, post, type RawCase, refused, testRawCases } from './guarded.ts'

const host = '\r\nHost: a\r\n\r\n'
const target = '400 invalid_target'
const unknown = '501 method_not_implemented'
const bearer = (token: string) => `Authorization: Bearer ${token}`
const open = 'GET /open/a HTTP/1.1'
/** A request line as it stands. */
const line = (name: string, text: string, answer?: string) => refused(name, `${text}${host}`, answer)
/** A refusal of a whole and well-formed request: the connection would go on. */
const denied = (name: string, bytes: RawCase['bytes'], answer: string): RawCase => ({
  name,
  bytes: (token) =>
    (typeof bytes === 'string' ? bytes : bytes(token)).replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n'),
  answers: [answer],
})
const deniedLine = (name: string, text: string, answer = target) => denied(name, `${text}${host}`, answer)
/** What RFC 9112 lets a server pass over: it is read as one plain request, and goes on as that one. */
const mended = (name: string, bytes: string): RawCase => ({
  name,
  bytes,
  answers: ['200 seen: GET /open/a'],
  seen: ['GET /open/a'],
})

const requestLines: RawCase[] = [
  mended('two blanks behind the method', `GET  /open/a HTTP/1.1${host}`),
  mended('two blanks before the version', `GET /open/a  HTTP/1.1${host}`),
  line('a blank behind the version', `${open} `),
  line('a blank before the method', ` ${open}`, unknown),
  line('a tab behind the method', 'GET\t/open/a HTTP/1.1', unknown),
  line('a tab before the version', 'GET /open/a\tHTTP/1.1'),
  line('a vertical tab before the version', 'GET /open/a\x0bHTTP/1.1'),
  line('a blank in the target', 'GET /open/a /admin/keys HTTP/1.1'),
  line('a blank in the target, and what looks like a version', 'GET /open/a HTTP/1.1 /admin/keys HTTP/1.1'),
  line('no target', 'GET HTTP/1.1'),
  line('no target between two blanks', 'GET  HTTP/1.1'),
  line('no method', '/open/a HTTP/1.1', unknown),
  line('no version', 'GET /open/a'),
  line('a NUL in the target', 'GET /open\x00/a HTTP/1.1'),
  line('a control character in the target', 'GET /open/\x01a HTTP/1.1'),
  line('DEL in the target', 'GET /open/\x7fa HTTP/1.1'),
  line('a carriage return in the target', 'GET /open/a\r/admin HTTP/1.1'),
  line('a carriage return alone behind the version', `${open}\rX: y`),
  refused('a second request line in the first', `GET /open/a\r\n${hidden}`),
  refused('a line feed alone before the request line of another', `GET /open/a HTTP/1.1\n${hidden}`),
]

const methods: RawCase[] = [
  line('a method in lower case', 'get /open/a HTTP/1.1', unknown),
  line('a method in two cases', 'Get /open/a HTTP/1.1', unknown),
  line('a method with a letter too many', 'GETS /open/a HTTP/1.1', unknown),
  line('a method with a letter too few', 'GE /open/a HTTP/1.1', unknown),
  line('a method of bytes above ASCII', 'G\xc9T /open/a HTTP/1.1', unknown),
  line('a method with a NUL', 'GET\x00 /open/a HTTP/1.1', unknown),
  line('a method of other characters', '!#$% /open/a HTTP/1.1', unknown),
  line('a method with a colon', 'X:GET /open/a HTTP/1.1', unknown),
  line('a method without end', `${'A'.repeat(40_000)} /open/a HTTP/1.1`, unknown),
  line('two methods', 'GET POST /open/a HTTP/1.1'),
  deniedLine('TRACE', 'TRACE /open/a HTTP/1.1', unknown),
  line('CONNECT', 'CONNECT /open/a HTTP/1.1', target),
  line('the method of HTTP/2', 'PRI * HTTP/2.0'),
  line('a target of RTSP', 'OPTIONS rtsp://a/open RTSP/1.0', target),
  deniedLine('a method of RTSP', 'DESCRIBE /open/a RTSP/1.0', unknown),
  line('a method of RTSP, with the version of HTTP', 'DESCRIBE /open/a HTTP/1.1'),
  mended('a method of HTTP, with the version of RTSP', `GET /open/a RTSP/1.0${host}`),
  denied(
    'a header that makes it another method',
    get('X-HTTP-Method-Override: DELETE', '/admin/keys'),
    '401 token_required',
  ),
]

const versions: RawCase[] = [
  refused('HTTP/0.9 without a version', 'GET /open/a\r\n', '408 request_timeout'),
  refused('HTTP/0.9 without a version, for the guarded path', 'GET /admin/keys\r\n\r\n'),
  line('HTTP/0.9', 'GET /open/a HTTP/0.9'),
  line('HTTP/1.2', 'GET /open/a HTTP/1.2'),
  line('HTTP/1.10', 'GET /open/a HTTP/1.10'),
  line('HTTP/01.1', 'GET /open/a HTTP/01.1'),
  line('HTTP/1', 'GET /open/a HTTP/1'),
  line('HTTP/1,1', 'GET /open/a HTTP/1,1'),
  line('HTTP/2.0', 'GET /open/a HTTP/2.0'),
  line('HTTP/3', 'GET /open/a HTTP/3'),
  line('http/1.1 in lower case', 'GET /open/a http/1.1'),
  line('HTTP/1.1 with a letter behind it', 'GET /open/a HTTP/1.1x'),
  line('HTTPS/1.1', 'GET /open/a HTTPS/1.1'),
  line('a blank in the version', 'GET /open/a HTTP/ 1.1'),
  line('a version of other digits', 'GET /open/a HTTP/1.\xb9'),
  {
    name: 'HTTP/1.0 without a Host',
    bytes: 'GET /open/a HTTP/1.0\r\n\r\n',
    answers: ['200 seen: GET /open/a'],
    seen: ['GET /open/a'],
  },
  {
    name: 'HTTP/1.0 without a Host, for the guarded path',
    bytes: 'GET /admin/keys HTTP/1.0\r\n\r\n',
    answers: ['401 token_required'],
  },
]

const protocols: RawCase[] = [
  refused('the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00'),
  refused(
    'the ClientHello of TLS',
    `\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03${'\x5a'.repeat(32)}\x00\x00\x02\x13\x01`,
    unknown,
  ),
  refused('the ClientHello of SSL 2', '\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10', unknown),
  refused('the PROXY protocol in text', `PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n${get('X: y')}`, unknown),
  refused(
    'the PROXY protocol in bytes',
    `\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c${'\x7f'.repeat(12)}${get('X: y')}`,
    unknown,
  ),
  refused('the greeting of SSH', 'SSH-2.0-OpenSSH_9.9\r\n', unknown),
  refused('the beginning of SMTP', 'EHLO a\r\n', unknown),
  refused('a command of Redis', '*1\r\n$4\r\nPING\r\n', unknown),
  refused('a request of FastCGI', '\x01\x01\x00\x01\x00\x08\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00', unknown),
  refused('a byte order mark before the request', `\xef\xbb\xbf${get('X: y')}`, unknown),
  refused('NULs', '\x00'.repeat(64), unknown),
  refused('an answer', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', unknown),
  refused('a JSON document', '{"path":"/admin/keys"}\r\n\r\n', unknown),
]

const targets: RawCase[] = [
  deniedLine('a whole URL', 'GET http://a/open/a HTTP/1.1'),
  deniedLine('a whole URL of another host', 'GET http://admin/admin/keys HTTP/1.1'),
  deniedLine('a whole URL with userinfo', 'GET http://a:b@c/open/a HTTP/1.1'),
  deniedLine('a URL of a file', 'GET file:///etc/passwd HTTP/1.1'),
  deniedLine('an authority', 'GET a:80 HTTP/1.1', '400 malformed_request'),
  line('an authority for a tunnel', 'CONNECT a:443 HTTP/1.1', target),
  deniedLine('an asterisk', 'OPTIONS * HTTP/1.1'),
  deniedLine('an asterisk of GET', 'GET * HTTP/1.1'),
  deniedLine('a fragment', 'GET /open/a#/../admin HTTP/1.1'),
  deniedLine('a fragment in the query', 'GET /open/a?x#y HTTP/1.1'),
  deniedLine('a backslash', 'GET /open\\..\\admin HTTP/1.1'),
  deniedLine('a backslash first', 'GET \\admin\\keys HTTP/1.1', '400 malformed_request'),
  deniedLine('no slash first', 'GET admin/keys HTTP/1.1', '400 malformed_request'),
  deniedLine('a question mark first', 'GET ?/admin/keys HTTP/1.1', '400 malformed_request'),
  deniedLine('a target of dots', 'GET /open/../admin/keys HTTP/1.1'),
  deniedLine('two slashes and a host', 'GET //a/admin/keys HTTP/1.1', '404 no_route'),
  line('a target without end', `GET /open/${'a'.repeat(40_000)} HTTP/1.1`, '431 headers_too_large'),
  deniedLine('a target of one byte too many', `GET /open/${'a'.repeat(8192 - 5)} HTTP/1.1`, '414 target_too_long'),
  line('bytes above ASCII in a target', 'GET /open/\xe9\xc3\xa9 HTTP/1.1'),
]

const sequences: RawCase[] = [
  mended('empty lines before a request', `\r\n\r\n${get('X: y')}`),
  mended('line feeds alone before a request', `\n\n${get('X: y')}`),
  mended('carriage returns before a request', `\r\r${get('X: y')}`),
  {
    name: 'a hidden request behind one that is allowed',
    bytes: `${get('X: y')}${get(`${marker}: yes\r\nConnection: close`, '/admin/keys')}`,
    answers: ['200 seen: GET /open/a', '401 token_required'],
    seen: ['GET /open/a'],
  },
  {
    name: 'a hidden request behind one with a token',
    bytes: (token) => `${get(bearer(token), '/admin/a')}${get(`${marker}: yes\r\nConnection: close`, '/admin/keys')}`,
    answers: ['200 seen: GET /admin/a', '401 token_required'],
    seen: ['GET /admin/a'],
  },
  {
    name: 'a request with a token behind one without',
    bytes: (token) =>
      `${get(`${marker}: yes`, '/admin/keys')}${get(`${bearer(token)}\r\nConnection: close`, '/admin/a')}`,
    answers: ['401 token_required', '200 seen: GET /admin/a'],
    seen: ['GET /admin/a'],
  },
  {
    name: 'a hidden request in a body with a length',
    bytes: post(`Content-Length: ${hidden.length}`, hidden),
    answers: ['200 seen: POST /open/a'],
    seen: [`POST /open/a: ${hidden}`],
  },
  {
    name: 'a hidden request in the body of a GET',
    bytes: get(`Content-Length: ${hidden.length}\r\n\r\n${hidden}`).slice(0, -4),
    answers: ['200 seen: GET /open/a'],
    seen: [`GET /open/a: ${hidden}`],
  },
  {
    name: 'a hidden request in the body of a request that is refused',
    bytes: get(`Content-Length: ${hidden.length}\r\nConnection: close\r\n\r\n${hidden}`, '/admin/keys').slice(0, -4),
    answers: ['401 token_required'],
  },
  {
    name: 'a hidden request in the chunks of a request that is refused',
    bytes: get(`Transfer-Encoding: chunked\r\n\r\n${chunk(hidden)}0`, '/admin/keys'),
    answers: ['401 token_required'],
  },
  {
    name: 'a hidden request behind a length that is too short',
    bytes: post('Content-Length: 3', `abc${hidden.replace(`${marker}: yes`, 'Connection: close')}`),
    answers: ['200 seen: POST /open/a', '401 token_required'],
    seen: ['POST /open/a: abc'],
  },
  {
    name: 'bytes that are no request behind one that is allowed',
    bytes: `${get('X: y')}\x00\x01\x02`,
    answers: ['200 seen: GET /open/a'],
    seen: ['GET /open/a'],
    closes: true,
  },
  {
    name: 'a hidden request behind a refusal that closes',
    bytes: `${get('Transfer_Encoding: x')}${hidden}`,
    answers: ['400 invalid_framing'],
  },
  {
    name: 'a hidden request behind Connection: close',
    bytes: `${get('Connection: close')}${hidden}`,
    answers: ['200 seen: GET /open/a'],
    seen: ['GET /open/a'],
  },
  {
    name: 'a hidden request behind a body that 100 Continue is waited for',
    bytes: post('Expect: 100-continue\r\nContent-Length: 2', `ok${get('Connection: close', '/admin/keys')}`),
    answers: ['200 seen: POST /open/a', '401 token_required'],
    seen: ['POST /open/a: ok'],
  },
  {
    name: 'a hidden request for a body that was expected and is not sent',
    bytes: get('Expect: 100-continue\r\nContent-Length: 2\r\nConnection: close', '/admin/keys'),
    answers: ['401 token_required'],
  },
  {
    name: 'a hidden request behind an Upgrade to h2c',
    bytes: `${get('Connection: Upgrade\r\nUpgrade: h2c')}${get('Connection: close', '/admin/keys')}`,
    answers: ['200 seen: GET /open/a'],
    seen: ['GET /open/a'],
  },
  { name: 'nothing', bytes: '', answers: [], leaves: true },
  { name: 'half a request line', bytes: 'GET /admin', answers: ['400 malformed_request'], leaves: true },
  { name: 'half a header', bytes: 'GET /open/a HTTP/1.1\r\nHo', answers: ['400 malformed_request'], leaves: true },
  {
    name: 'headers without their end',
    bytes: 'GET /open/a HTTP/1.1\r\nHost: a\r\n',
    answers: ['400 malformed_request'],
    leaves: true,
  },
  {
    name: 'headers with half of their end',
    bytes: 'GET /open/a HTTP/1.1\r\nHost: a\r\n\r',
    answers: ['400 malformed_request'],
    leaves: true,
  },
  { name: 'headers that never end', bytes: 'GET /open/a HTTP/1.1\r\nHost: a\r\n', answers: ['408 request_timeout'] },
]

describe('request lines', () => testRawCases(requestLines))
describe('methods', () => testRawCases(methods))
describe('versions', () => testRawCases(versions))
describe('other protocols', () => testRawCases(protocols))
describe('targets that are no path', () => testRawCases(targets))
describe('requests behind requests, and halves', () => testRawCases(sequences))
