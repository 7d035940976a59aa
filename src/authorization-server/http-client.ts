import { GatewayError } from '../base/errors.ts'
import { version } from '../base/version.ts'
import type { Connection, ConnectionOptions, HttpInit } from './http-connection.ts'

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
export function createHttpClient(options: ConnectionOptions): HttpClient {
  // At once, so that the first exchange need not wait for it.
  const loading = import('./http-connection.ts')
  let open: (() => Connection) | undefined
  const running = new Set<Connection>()
  let closed = false

  return {
    async fetch(url, init = {}) {
      const { createConnector } = await loading
      if (closed) throw new TransportFault(url, 'CLOSED')
      open ??= createConnector(options)
      const connection = open()
      const signal = AbortSignal.timeout(options.timeout)
      running.add(connection)
      try {
        const headers = { ...init.headers, 'user-agent': userAgent }
        const response = await connection.fetch(url, { ...init, headers }, signal)
        return rebuild(response, await readBody(response.body))
      } catch (error) {
        if (error instanceof GatewayError) throw error
        throw new TransportFault(url, signal.aborted ? 'TIMEOUT' : faultCode(connection.fault() ?? error))
      } finally {
        running.delete(connection)
        void connection.destroy()
      }
    },
    async close() {
      closed = true
      await Promise.all([...running].map((connection) => connection.destroy()))
    },
  }
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
