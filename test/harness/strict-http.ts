/** A request as it stands on the wire, read by the letter of RFC 9112. */
export interface WireRequest {
  readonly method: string
  readonly target: string
  /** Names as they came, values without the blanks around them. */
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string
  /** False where the bytes end before the request does. */
  readonly complete: boolean
}

const requestLine = /^([!#$%&'*+.^_`|~\w-]+) (\S+) HTTP\/1\.1$/
const headerLine = /^([!#$%&'*+.^_`|~\w-]+): ?([\t\x20-\x7e\x80-\xff]*)$/

/**
 * Every request in what came over one connection (latin1). It forgives nothing and repairs nothing, so that no two
 * readers could find other requests in the same bytes.
 * @throws Error for whatever a lenient reader might read in another way
 */
export function readRequests(bytes: string): WireRequest[] {
  const requests: WireRequest[] = []
  let rest = bytes
  while (rest !== '') {
    const end = rest.indexOf('\r\n\r\n')
    if (end < 0) {
      requests.push({ method: '', target: rest, headers: [], body: '', complete: false })
      break
    }
    const head = readHead(rest.slice(0, end))
    const { body, complete, length } = readBody(head.headers, rest.slice(end + 4))
    requests.push({ ...head, body, complete })
    rest = rest.slice(end + 4 + length)
  }
  return requests
}

function readHead(text: string): Pick<WireRequest, 'method' | 'target' | 'headers'> {
  const [first = '', ...lines] = text.split('\r\n')
  const [, method, target] = requestLine.exec(first) ?? fault('request line', first)
  const headers = lines.map((line) => {
    const [, name = '', value = ''] = headerLine.exec(line) ?? fault('header line', line)
    return [name, value.trim()] as const
  })
  const names = headers.map(([name]) => name.toLowerCase())
  for (const name of ['host', 'authorization', 'content-length', 'transfer-encoding'])
    if (names.indexOf(name) !== names.lastIndexOf(name)) fault(`second ${name}`, text)
  if (!names.includes('host')) fault('missing Host', text)
  if (names.includes('content-length') && names.includes('transfer-encoding')) fault('two framings', text)
  return { method: method ?? '', target: target ?? '', headers }
}

interface WireBody extends Pick<WireRequest, 'body' | 'complete'> {
  /** Bytes that it takes, framing included. */
  readonly length: number
}

function readBody(headers: WireRequest['headers'], rest: string): WireBody {
  const value = (name: string) => headers.find(([each]) => each.toLowerCase() === name)?.[1]
  const encoding = value('transfer-encoding')
  const text = value('content-length')
  if (encoding !== undefined) return encoding === 'chunked' ? readChunks(rest) : fault('encoding', encoding)
  if (text === undefined) return { body: '', complete: true, length: 0 }
  if (!/^(?:0|[1-9]\d{0,14})$/.test(text)) fault('length', text)
  const length = Number(text)
  return { body: rest.slice(0, length), complete: rest.length >= length, length: Math.min(length, rest.length) }
}

function readChunks(text: string): WireBody {
  let body = ''
  let at = 0
  for (;;) {
    const end = text.indexOf('\r\n', at)
    const partial = { body, complete: false, length: text.length }
    if (end < 0) return partial
    const size = text.slice(at, end)
    if (!/^(?:0|[1-9a-f][0-9a-f]{0,7})$/i.test(size)) fault('chunk size', size)
    const start = end + 2
    const length = Number.parseInt(size, 16)
    if (text.length < start + length + 2) return { ...partial, body: body + text.slice(start, start + length) }
    if (text.slice(start + length, start + length + 2) !== '\r\n') fault('end of a chunk or a trailer', text.slice(at))
    body += text.slice(start, start + length)
    at = start + length + 2
    if (length === 0) return { body, complete: true, length: at }
  }
}

function fault(what: string, text: string): never {
  throw new Error(`no strict reader takes this ${what}: ${JSON.stringify(text)}`)
}
