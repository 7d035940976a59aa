import { getCACertificates } from 'node:tls'
import { Agent, buildConnector, fetch as undiciFetch } from 'undici'
import type { PresentedCertificate } from '../base/client-certificate.ts'
import { GatewayError } from '../base/errors.ts'
import { version } from '../base/version.ts'

/** What a request of ours to an authorization server may say. */
export interface HttpInit {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

/** Talks to one authorization server, within bounds of time and size. */
export interface HttpClient {
  /**
   * The answer, its body already read. Nothing is retried, and redirects are not followed: they would take a secret to
   * where nobody configured it.
   * @throws {TransportFault} for transport faults and silence
   * @throws {GatewayError} `authorization_server_invalid_response` for a body that is too large
   */
  fetch(url: string, init?: HttpInit): Promise<Response>
  close(): Promise<void>
}

export interface HttpClientOptions {
  /** PEM certificates, added to the system's roots. */
  readonly ca?: string | undefined
  /** Milliseconds for a whole exchange, its body included. */
  readonly timeout: number
  /** What is presented to the server. */
  readonly certificate?: PresentedCertificate | undefined
}

/** The exchange did not come about, or broke off. */
export class TransportFault extends GatewayError {
  /** The innermost code, such as ECONNREFUSED, or TIMEOUT. */
  readonly fault: string

  constructor(url: string, fault: string) {
    const { origin, pathname } = new URL(url)
    super('authorization_server_unavailable', { reason: `${origin}${pathname}: ${fault}`, retryAfterSeconds: 1 })
    this.fault = fault
  }
}

/** Larger than any metadata, key set or token, and small enough to read. */
const mostBytes = 1024 * 1024
const withoutBody = [204, 205, 304]
const userAgent = `scopegate/${version}`

/**
 * Each exchange has a connection of its own: one that is kept may be closed by the server at that very moment, and as nothing
 * is asked twice, that would look like an outage. What is asked for is kept for long, and TLS sessions are resumed.
 */
export function createHttpClient({ ca, timeout, certificate }: HttpClientOptions): HttpClient {
  const connect = buildConnector({
    timeout,
    ...(ca !== undefined && { ca: [...getCACertificates(), ca] }),
    ...(certificate && { cert: certificate.certificate, key: certificate.privateKey }),
  })
  const running = new Set<Agent>()
  let closed = false

  async function exchange(url: string, init: HttpInit, dispatcher: Agent, signal: AbortSignal): Promise<Response> {
    const headers = { ...init.headers, 'user-agent': userAgent }
    const response = await undiciFetch(url, { ...init, headers, dispatcher, redirect: 'manual', signal })
    return rebuild(response, await readBody(response.body))
  }

  return {
    async fetch(url, init = {}) {
      if (closed) throw new TransportFault(url, 'CLOSED')
      const connection = openConnection(connect)
      const signal = AbortSignal.timeout(timeout)
      running.add(connection.dispatcher)
      try {
        return await exchange(url, init, connection.dispatcher, signal)
      } catch (error) {
        if (error instanceof GatewayError) throw error
        throw new TransportFault(url, signal.aborted ? 'TIMEOUT' : faultCode(connection.fault() ?? error))
      } finally {
        running.delete(connection.dispatcher)
        void connection.dispatcher.destroy()
      }
    },
    async close() {
      closed = true
      await Promise.all([...running].map((dispatcher) => dispatcher.destroy()))
    },
  }
}

/** One connection, and what went wrong on it first: undici tells what was last, and so not the alert that a server ended it with. */
function openConnection(connect: buildConnector.connector) {
  let fault: Error | undefined
  const dispatcher = new Agent({
    connect(options, callback) {
      connect(options, (...[error, socket]) => {
        socket?.on('error', (next) => {
          fault ??= next
        })
        if (error) callback(error, null)
        else callback(null, socket)
      })
    },
    maxHeaderSize: 64 * 1024,
    pipelining: 0,
  })
  return { dispatcher, fault: () => fault }
}

async function readBody(body: AsyncIterable<Uint8Array> | null): Promise<Buffer<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body ?? []) {
    size += chunk.byteLength
    if (size > mostBytes)
      throw new GatewayError('authorization_server_invalid_response', { reason: 'the answer is larger than 1 MiB' })
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** The answer with the body that was read. */
function rebuild(
  { status, headers }: { readonly status: number; readonly headers: Iterable<[string, string]> },
  body: Buffer<ArrayBuffer>,
): Response {
  if (status < 200 || status > 599)
    throw new GatewayError('authorization_server_invalid_response', { reason: `the answer's status is ${status}` })
  return new Response(withoutBody.includes(status) ? null : body, { status, headers: [...headers] })
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
