import { connect } from 'node:net'

/** An answer as it came over the wire. */
export interface RawAnswer {
  readonly status: number
  readonly reason: string
  /** Names in lower case; of a repeated header every value, joined by `, `. */
  readonly headers: Readonly<Record<string, string>>
  /** Names and values as they came, alternating. */
  readonly rawHeaders: readonly string[]
  /** Without its framing. */
  readonly body: string
  /** False where the body ends before its own framing says so, or lasts until the connection is closed. */
  readonly complete: boolean
  /** What follows on the connection. */
  readonly rest: string
}

export interface SendRawOptions {
  /** When to stop listening; by default once one whole answer is there. The close of the connection always ends it. */
  readonly until?: (received: string) => boolean
  /** Milliseconds, 5000 by default; then it rejects and shows what came. */
  readonly timeout?: number
  /** The answer is one to HEAD: it has no body. */
  readonly head?: boolean
  /** The caller's address, such as 127.0.0.2; by default 127.0.0.1. */
  readonly from?: string
}

/** Sends bytes (latin1 where they are text) to a port of 127.0.0.1 and gives back what came (latin1). */
export function sendRaw(port: number, bytes: string | Buffer, options: SendRawOptions = {}): Promise<string> {
  const { timeout = 5000, head = false, from: localAddress = '127.0.0.1' } = options
  const until = options.until ?? ((received: string) => parseAnswer(received, { head })?.complete === true)
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connect({ port, host: '127.0.0.1', localAddress }, () => socket.write(bytes, 'latin1'))
    const timer = setTimeout(() => finish(new Error(`no end after ${timeout} ms, but: ${received}`)), timeout)
    function finish(fault?: Error): void {
      clearTimeout(timer)
      socket.destroy()
      if (fault) reject(fault)
      else resolve(received)
    }
    socket.on('data', (piece: Buffer) => {
      received += piece.toString('latin1')
      if (until(received)) finish()
    })
    socket.on('close', () => finish())
    socket.on('error', (fault: NodeJS.ErrnoException) => finish(fault.code === 'ECONNREFUSED' ? fault : undefined))
  })
}

/** Sends bytes and reads one answer, interim (1xx) ones left out. Throws where none came. */
export async function ask(port: number, bytes: string | Buffer, options: SendRawOptions = {}): Promise<RawAnswer> {
  const received = await sendRaw(port, bytes, options)
  const answer = parseAnswer(received, options)
  if (!answer) throw new Error(`no answer, but: ${JSON.stringify(received)}`)
  return answer
}

/** Every answer in what was received, in order, interim (1xx) ones left out; none of them may be to HEAD. */
export function parseAnswers(received: string): RawAnswer[] {
  const answers: RawAnswer[] = []
  for (let answer = parseAnswer(received); answer; answer = parseAnswer(answer.rest)) answers.push(answer)
  return answers
}

/** The first answer in what was received, interim (1xx) ones left out; `undefined` while its headers are not there. */
export function parseAnswer(received: string, options: { readonly head?: boolean } = {}): RawAnswer | undefined {
  const end = received.indexOf('\r\n\r\n')
  const [statusLine = '', ...lines] = received.slice(0, Math.max(end, 0)).split('\r\n')
  const match = /^HTTP\/1\.[01] (\d{3}) ?(.*)$/.exec(statusLine)
  if (end < 0 || !match) return undefined
  const status = Number(match[1])
  const rest = received.slice(end + 4)
  if (status < 200 && status !== 101) return parseAnswer(rest, options)
  const rawHeaders = lines.flatMap((line) => {
    const colon = line.indexOf(':')
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  const headers = joinHeaders(rawHeaders)
  const empty = options.head === true || status === 101 || status === 204 || status === 304
  return { status, reason: match[2] ?? '', headers, rawHeaders, ...(empty ? emptyBody(rest) : readBody(headers, rest)) }
}

type Body = Pick<RawAnswer, 'body' | 'complete' | 'rest'>

function joinHeaders(rawHeaders: readonly string[]): Record<string, string> {
  const headers = new Map<string, string>()
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index]?.toLowerCase() ?? ''
    const before = headers.get(name)
    headers.set(name, before === undefined ? `${rawHeaders[index + 1]}` : `${before}, ${rawHeaders[index + 1]}`)
  }
  return Object.fromEntries(headers)
}

function emptyBody(rest: string): Body {
  return { body: '', complete: true, rest }
}

function readBody(headers: Readonly<Record<string, string>>, rest: string): Body {
  if (headers['transfer-encoding'] === 'chunked') return readChunks(rest)
  const length = headers['content-length']
  if (length === undefined) return { body: rest, complete: false, rest: '' }
  return {
    body: rest.slice(0, Number(length)),
    complete: rest.length >= Number(length),
    rest: rest.slice(Number(length)),
  }
}

function readChunks(text: string): Body {
  let body = ''
  let rest = text
  for (;;) {
    const line = /^([0-9a-f]+)[^\r]*\r\n/i.exec(rest)
    const length = Number.parseInt(line?.[1] ?? '', 16)
    const start = line?.[0].length ?? 0
    if (!line || rest.length < start + length + 2) return { body, complete: false, rest: '' }
    if (length === 0) {
      const end = rest.indexOf('\r\n\r\n', start - 2)
      return end < 0 ? { body, complete: false, rest: '' } : { body, complete: true, rest: rest.slice(end + 4) }
    }
    body += rest.slice(start, start + length)
    rest = rest.slice(start + length + 2)
  }
}
