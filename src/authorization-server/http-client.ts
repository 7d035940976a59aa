import { GatewayError } from '../base/errors.ts'
import { version } from '../base/version.ts'
import {
  type ConnectionOptions,
  createSender,
  type HttpInit,
  type IncomingAnswer,
  type Sent,
} from './http-connection.ts'

/** An answer, its body already read: as much of a `Response` as is looked at, which would take long to load. */
export interface HttpAnswer {
  readonly status: number
  /** From 200 to 299. */
  readonly ok: boolean
  readonly headers: { get(name: string): string | null }
  text(): Promise<string>
}

const withoutBody = [204, 205, 304]

/** As oauth4webapi wants it, with what is looked at afterwards. */
export async function asResponse({ status, headers, text }: HttpAnswer): Promise<Response> {
  const retryAfter = headers.get('retry-after')
  return new Response(withoutBody.includes(status) ? null : await text(), {
    status,
    headers: retryAfter === null ? {} : { 'retry-after': retryAfter },
  })
}

/** Talks to one authorization server, within bounds of time and size. */
export interface HttpClient {
  /**
   * The answer, its body already read. Nothing is retried, and redirects are not followed: they would take a secret to
   * where nobody configured it.
   * @throws {TransportFault} for transport faults and silence
   * @throws {GatewayError} `authorization_server_invalid_response` for a body that is too large
   */
  fetch(url: string, init?: HttpInit): Promise<HttpAnswer>
  close(): Promise<void>
}

/** The exchange did not come about, or broke off. */
export class TransportFault extends GatewayError {
  /** The innermost code, such as ECONNREFUSED, or TIMEOUT, or INCOMPLETE. */
  readonly fault: string

  constructor(url: string, fault: string) {
    const { origin, pathname } = new URL(url)
    super('authorization_server_unavailable', { reason: `${origin}${pathname}: ${fault}`, retryAfterSeconds: 1 })
    this.fault = fault
  }
}

/** Larger than any metadata, key set or token, and small enough to read. */
const mostBytes = 1024 * 1024
const userAgent = `scopegate/${version}`

/**
 * Each exchange has a connection of its own: one that is kept may be closed by the server at that very moment, and as nothing
 * is asked twice, that would look like an outage. What is asked for is kept for long, and TLS sessions are resumed.
 */
export function createHttpClient(options: ConnectionOptions): HttpClient {
  const send = createSender(options)
  const running = new Set<Sent>()
  let closed = false

  return {
    async fetch(url, init = {}) {
      if (closed) throw new TransportFault(url, 'CLOSED')
      const signal = AbortSignal.timeout(options.timeout)
      let sent: Sent | undefined
      let answer: IncomingAnswer | undefined
      try {
        sent = send(url, { ...init, headers: { ...init.headers, 'user-agent': userAgent } }, signal)
        running.add(sent)
        answer = await sent.answer
        return whole(answer, await readBody(answer.body))
      } catch (error) {
        if (error instanceof GatewayError) throw error
        throw new TransportFault(url, signal.aborted ? 'TIMEOUT' : faultOf(error, answer !== undefined))
      } finally {
        if (sent) running.delete(sent)
        sent?.destroy()
      }
    },
    async close() {
      closed = true
      for (const sent of running) sent.destroy()
    },
  }
}

async function readBody(body: AsyncIterable<Uint8Array>): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.byteLength
    if (size > mostBytes)
      throw new GatewayError('authorization_server_invalid_response', { reason: 'the answer is larger than 1 MiB' })
    chunks.push(chunk)
  }
  // Without a byte order mark, should there be one.
  return new TextDecoder().decode(Buffer.concat(chunks))
}

function whole({ status, rawHeaders }: IncomingAnswer, text: string): HttpAnswer {
  if (status < 200 || status > 599)
    throw new GatewayError('authorization_server_invalid_response', { reason: `the answer's status is ${status}` })
  return {
    status,
    ok: status < 300,
    headers: { get: (name) => headerValue(rawHeaders, name.toLowerCase()) },
    text: async () => text,
  }
}

function headerValue(rawHeaders: readonly string[], wanted: string): string | null {
  const values = rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1]?.toLowerCase() === wanted)
  return values.length === 0 ? null : values.join(', ')
}

/** A connection that breaks off in the middle of an answer is told from one that brought none. */
function faultOf(error: unknown, hasBegun: boolean): string {
  const code = faultCode(error)
  return hasBegun && code === 'ECONNRESET' ? 'INCOMPLETE' : code
}

/** The innermost code, such as ECONNREFUSED, or else name. Messages stay out: they can quote what was sent. */
function faultCode(error: unknown): string {
  let code: string | undefined
  let name = 'Error'
  for (let next = error; next instanceof Error; next = next.cause) {
    const inner: unknown = (next as NodeJS.ErrnoException).code
    if (typeof inner === 'string') code = inner
    name = next.name
  }
  return code ?? name
}
