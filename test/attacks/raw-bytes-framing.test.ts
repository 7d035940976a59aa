/**
 * The attack: the bytes of one request are put so that this gateway and the server behind it disagree where its body
 * ends. What the gateway takes for the rest of a body, or for nothing, the other takes for the next request, and that one
 * nobody has judged. All sequences here carry a request for the guarded path where such a disagreement would make it
 * appear. RFC 9112 sections 6 and 7 say what each of them must be read as; the upstream takes down every byte.
 */
import { describe } from 'vitest'
import { chunk, hidden, marker, post, type RawCase, refused, testRawCases } from './guarded.ts'

const chunked = 'Transfer-Encoding: chunked'
const end = '0\r\n\r\n'
const conflicting = '400 invalid_framing'
const length = hidden.length

/** The hidden request where a body of these header lines would be, or would not. */
const lengths: RawCase[] = [
  refused(
    'CL.TE: a length that leaves the rest to the next request',
    post(`Content-Length: 6\r\n${chunked}`, `${end}${hidden}`),
  ),
  refused(
    'TE.CL: chunked, with a length inside the first chunk',
    post(`${chunked}\r\nContent-Length: 4`, `${chunk(hidden)}${end}`),
  ),
  refused(
    'CL.0: a length of nothing beside chunked',
    post(`Content-Length: 0\r\n${chunked}`, `${chunk(hidden)}${end}`),
  ),
  refused('two lengths that differ', post(`Content-Length: 0\r\nContent-Length: ${length}`, hidden)),
  refused('two lengths that agree', post(`Content-Length: ${length}\r\nContent-Length: ${length}`, hidden)),
  refused('two lengths in two letter cases', post(`content-length: 0\r\nCONTENT-LENGTH: ${length}`, hidden)),
  refused('a list of lengths that agree', post(`Content-Length: ${length}, ${length}`, hidden)),
  refused('a list of lengths that differ', post(`Content-Length: 0, ${length}`, hidden)),
  refused('a length with a plus', post(`Content-Length: +${length}`, hidden)),
  refused('a length with a minus', post('Content-Length: -1', hidden)),
  refused('a minus before nothing', post('Content-Length: -0', hidden)),
  refused('a hexadecimal length', post('Content-Length: 0x10', hidden)),
  refused('a length with digits behind a blank', post('Content-Length: 0 16', hidden)),
  refused('a length with a fraction', post('Content-Length: 0.0', hidden)),
  refused('a length with an exponent', post('Content-Length: 1e2', hidden)),
  refused('a length with an underscore between digits', post('Content-Length: 1_0', hidden)),
  refused('a length with a letter behind it', post('Content-Length: 0x', hidden)),
  refused('a length with a semicolon behind it', post('Content-Length: 0;a=b', hidden)),
  refused('a length in quotes', post('Content-Length: "0"', hidden)),
  refused('no length behind the colon', post('Content-Length:', hidden)),
  refused('a length that overflows 64 bits to nothing', post('Content-Length: 18446744073709551616', hidden)),
  refused('a length that overflows 64 bits to four', post('Content-Length: 18446744073709551620', hidden)),
  refused('a length of thirty zeros', post(`Content-Length: ${'0'.repeat(30)}`, hidden), conflicting),
  {
    name: 'a length that overflows 32 bits is what it says, and the body never whole',
    bytes: post('Content-Length: 4294967296', hidden),
    answers: ['408 request_timeout'],
    mayBegin: 'POST /open/a',
  },
  refused('a length in Arabic digits', post('Content-Length: \xd9\xa1', hidden)),
  refused('a length behind a vertical tab', post('Content-Length: \x0b0', hidden)),
  refused('a length behind a form feed', post('Content-Length: \x0c0', hidden)),
  refused('a length before a NUL', post('Content-Length: 0\x00', hidden)),
  refused('a length on a folded line', post('Content-Length:\r\n 0', hidden)),
  refused('a length whose name has a blank behind it', post('Content-Length : 0', hidden)),
  refused('a length whose name has a blank before it', post(`X: y\r\n Content-Length: ${length}`, hidden)),
  refused('a length whose name has a tab behind it', post('Content-Length\t: 0', hidden)),
  refused('a length spelt with an underscore', post(`Content_Length: ${length}`, hidden), conflicting),
  refused('a length spelt with a dot', post(`Content.Length: ${length}`, hidden), conflicting),
]

const encodings: RawCase[] = [
  refused(
    'chunked behind another encoding',
    post('Transfer-Encoding: gzip, chunked', `${chunk(hidden)}${end}`),
    conflicting,
  ),
  refused('chunked before another encoding', post('Transfer-Encoding: chunked, gzip', `${chunk(hidden)}${end}`)),
  refused('chunked before identity', post('Transfer-Encoding: chunked, identity', `${chunk(hidden)}${end}`)),
  refused(
    'identity before chunked',
    post('Transfer-Encoding: identity, chunked', `${chunk(hidden)}${end}`),
    conflicting,
  ),
  refused('chunked twice in a list', post('Transfer-Encoding: chunked, chunked', `${chunk(hidden)}${end}`)),
  refused('chunked twice on two lines', post(`${chunked}\r\n${chunked}`, `${chunk(hidden)}${end}`)),
  refused(
    'TE.TE: chunked, and nonsense on a second line',
    post(`${chunked}\r\nTransfer-Encoding: x`, `${chunk(hidden)}${end}`),
  ),
  refused(
    'TE.TE: nonsense, and chunked on a second line',
    post(`Transfer-Encoding: x\r\n${chunked}`, `${chunk(hidden)}${end}`),
    conflicting,
  ),
  refused('identity alone', post('Transfer-Encoding: identity', hidden)),
  refused('an encoding that begins like chunked', post('Transfer-Encoding: chunkedx', `${chunk(hidden)}${end}`)),
  refused('an encoding that ends like chunked', post('Transfer-Encoding: xchunked', `${chunk(hidden)}${end}`)),
  refused('chunked in quotes', post('Transfer-Encoding: "chunked"', `${chunk(hidden)}${end}`)),
  refused('chunked with a parameter', post('Transfer-Encoding: chunked;q=1', `${chunk(hidden)}${end}`)),
  refused('chunked behind a comma', post('Transfer-Encoding: ,chunked', `${chunk(hidden)}${end}`), conflicting),
  refused('chunked before a comma', post('Transfer-Encoding: chunked,', `${chunk(hidden)}${end}`)),
  refused('chunked behind a vertical tab', post('Transfer-Encoding: \x0bchunked', `${chunk(hidden)}${end}`)),
  refused('chunked before a NUL', post('Transfer-Encoding: chunked\x00', `${chunk(hidden)}${end}`)),
  refused('chunked behind a byte above ASCII', post('Transfer-Encoding: \xa0chunked', `${chunk(hidden)}${end}`)),
  refused('chunked on a folded line', post('Transfer-Encoding:\r\n chunked', `${chunk(hidden)}${end}`)),
  refused('chunked behind a blank before the colon', post('Transfer-Encoding : chunked', `${chunk(hidden)}${end}`)),
  refused('chunked behind a lone line feed', post('X: y\nTransfer-Encoding: chunked', `${chunk(hidden)}${end}`)),
  refused('chunked behind a lone carriage return', post('X: y\rTransfer-Encoding: chunked', `${chunk(hidden)}${end}`)),
  refused(
    'chunked whose name has a blank before it',
    post('X: y\r\n Transfer-Encoding: chunked', `${chunk(hidden)}${end}`),
  ),
  refused('an empty encoding', post('Transfer-Encoding:', hidden)),
  refused(
    'chunked spelt with an underscore',
    post('Transfer_Encoding: chunked', `${chunk(hidden)}${end}`),
    conflicting,
  ),
  refused(
    'chunked on HTTP/1.0',
    `POST /open/a HTTP/1.0\r\nHost: a\r\n${chunked}\r\n\r\n${chunk(hidden)}${end}`,
    conflicting,
  ),
]

/** A chunked body that is at fault somewhere: what came before the fault may have been on its way. */
function broken(name: string, body: string, answer = '400 malformed_request'): RawCase {
  return { name, bytes: post(chunked, body), answers: [answer], mayBegin: 'POST /open/a' }
}
/** A chunked body that is well-formed, whatever it looks like: it arrives in chunks of the gateway's own, and as one body. */
function whole(name: string, body: string, seen: string): RawCase {
  return { name, bytes: post(chunked, body), answers: ['200 seen: POST /open/a'], seen: [`POST /open/a: ${seen}`] }
}

const chunks: RawCase[] = [
  whole('a hidden request in a chunk', `${chunk(hidden)}${end}`, hidden),
  ...['GET', 'DELETE', 'OPTIONS', 'PUT', 'PROPFIND'].map((method) => ({
    name: `a hidden request in a chunk of ${method}`,
    bytes: `${method} /open/a HTTP/1.1\r\nHost: a\r\n${chunked}\r\n\r\n${chunk(hidden)}${end}`,
    answers: [`200 seen: ${method} /open/a`],
    seen: [`${method} /open/a: ${hidden}`],
  })),
  whole('a hidden request in two chunks', `${chunk(hidden.slice(0, 9))}${chunk(hidden.slice(9))}${end}`, hidden),
  whole('the end of a body, and a hidden request, in a chunk', `${chunk(`${end}${hidden}`)}${end}`, `${end}${hidden}`),
  whole('zeros before the length of a chunk', `0000002\r\nok\r\n${end}`, 'ok'),
  whole('zeros for the length of the last chunk', `${chunk('ok')}000\r\n\r\n`, 'ok'),
  whole('a chunk extension', `2;a=b\r\nok\r\n${end}`, 'ok'),
  whole('a chunk extension in quotes', `2;a="b;c"\r\nok\r\n${end}`, 'ok'),
  whole('a chunk extension on the last chunk', `${chunk('ok')}0;a=b\r\n\r\n`, 'ok'),
  whole('a trailer', `${chunk('ok')}0\r\nX-After: y\r\n\r\n`, 'ok'),
  whole('a trailer with a token', `${chunk('ok')}0\r\nAuthorization: Bearer ${marker}\r\n\r\n`, 'ok'),
  broken('a trailer with a length', `${chunk('ok')}0\r\nContent-Length: 99\r\n\r\n`),
  broken('a trailer with an encoding', `${chunk('ok')}0\r\nTransfer-Encoding: chunked\r\n\r\n`),
  whole('a trailer with another target', `${chunk('ok')}0\r\nX-Original-URL: /admin/keys\r\nHost: admin\r\n\r\n`, 'ok'),
  broken('TERM.EXT: a lone line feed in a chunk extension', `2;a\nok\r\n${end}${hidden}`),
  broken('EXT.TERM: a lone carriage return in a chunk extension', `2;a\rok\r\n${end}${hidden}`),
  broken('a NUL in a chunk extension', `2;\x00\r\nok\r\n${end}${hidden}`),
  broken('an extension that quotes a line end', `2;a="\r\nok\r\n${end}${hidden}`),
  broken('a line feed alone behind the length of a chunk', `2\nok\r\n${end}${hidden}`),
  broken('a carriage return alone behind the length of a chunk', `2\rok\r\n${end}${hidden}`),
  broken('a line feed alone behind a chunk', `2\r\nok\n${end}${hidden}`),
  broken('no line end behind a chunk', `2\r\nok${end}${hidden}`),
  broken('TERM.SPILL: two bytes other than a line end behind a chunk', `2\r\nokXX${end}${hidden}`),
  broken('a chunk that is longer than it says', `2\r\nokk\r\n${end}${hidden}`),
  broken('a chunk that is shorter than it says', `5\r\nok\r\n${end}${hidden}`),
  broken('ONE.TWO: a last chunk that only one reader takes for the last', `2\r\nok\r\n0\n\r\n${hidden}`),
  broken('a length with 0x', `0x2\r\nok\r\n${end}${hidden}`),
  broken('a length with a plus', `+2\r\nok\r\n${end}${hidden}`),
  broken('a length with a minus', `-2\r\nok\r\n${end}${hidden}`),
  broken('a length with an underscore', `0_2\r\nok\r\n${end}${hidden}`),
  broken('a length with letters that are no digits', `2g\r\nok\r\n${end}${hidden}`),
  broken('a length behind a blank', ` 2\r\nok\r\n${end}${hidden}`),
  broken('a length before a blank', `2 \r\nok\r\n${end}${hidden}`),
  broken('a length before a tab', `2\t\r\nok\r\n${end}${hidden}`),
  broken('a length behind a vertical tab', `\x0b2\r\nok\r\n${end}${hidden}`),
  broken('no length at all', `\r\nok\r\n${end}${hidden}`),
  broken('an extension without a length', `;a=b\r\nok\r\n${end}${hidden}`),
  broken('a length that overflows 64 bits to two', `10000000000000002\r\nok\r\n${end}${hidden}`),
  broken('a length of all the bits there are', `ffffffffffffffff\r\nok\r\n${end}${hidden}`, '408 request_timeout'),
  broken('a length that overflows 32 bits', `100000002\r\nok\r\n${end}${hidden}`, '408 request_timeout'),
  broken('a trailer without a name', `${chunk('ok')}0\r\n: x\r\n\r\n${hidden}`),
  broken('a trailer without a colon', `${chunk('ok')}0\r\nGET /admin/keys HTTP/1.1\r\n\r\n${hidden}`),
  broken('a trailer on a folded line', `${chunk('ok')}0\r\nX: y\r\n z\r\n\r\n${hidden}`),
  broken('a trailer that ends in a lone line feed', `${chunk('ok')}0\r\nX: y\n\r\n${hidden}`),
  broken('extensions without end', `2;${'a'.repeat(20_000)}\r\nok\r\n${end}`, '413 body_too_large'),
  broken(
    'trailers without end',
    `${chunk('ok')}0\r\n${`X: ${'y'.repeat(50)}\r\n`.repeat(1000)}\r\n`,
    '431 headers_too_large',
  ),
  {
    name: 'a body that never ends',
    bytes: post(chunked, chunk('ok')),
    answers: ['408 request_timeout'],
    mayBegin: 'POST /open/a',
  },
  {
    name: 'a caller that leaves in a chunk',
    bytes: post(chunked, '9\r\nok'),
    answers: ['400 malformed_request'],
    mayBegin: 'POST /open/a',
    leaves: true,
  },
  {
    name: 'a caller that leaves behind a chunk',
    bytes: post(chunked, chunk('ok')),
    answers: ['400 malformed_request'],
    mayBegin: 'POST /open/a',
    leaves: true,
  },
  {
    name: 'a caller that leaves within a length',
    bytes: post('Content-Length: 9', 'ok'),
    answers: ['400 malformed_request'],
    mayBegin: 'POST /open/a',
    leaves: true,
  },
]

describe('a body whose length can be read in two ways', () => testRawCases(lengths))
describe('a body in an encoding that is not plainly chunked', () => testRawCases(encodings))
describe('a body in chunks', () => testRawCases(chunks))
