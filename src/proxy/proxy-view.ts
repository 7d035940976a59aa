import { EventEmitter } from 'node:events'
import type { ClientRequest } from 'node:http'
import type { Attempt } from './attempt.ts'
import type { ForwardRequest } from './exchange.ts'

/** As much of a request as http-proxy-middleware and httpxy read. */
export class RequestView extends EventEmitter {
  readonly attempt: Attempt
  // The real path stands in the target, which the library puts before this one: so it never parses a caller's bytes.
  readonly url = '/'
  readonly httpVersionMajor = 1
  readonly socket = { writable: true }
  readonly method: string
  /** The library may write into them, but only about the framing, which is said anew for each attempt. */
  readonly headers: object

  constructor(attempt: Attempt) {
    super()
    this.attempt = attempt
    this.method = attempt.exchange.request.method ?? 'GET'
    this.headers = attempt.exchange.headers
  }

  /** Called for the body as soon as there is a connection, be it open or not yet. */
  pipe(proxyRequest: ClientRequest): void {
    setFraming(proxyRequest, this.attempt.exchange)
    this.attempt.onConnection(proxyRequest)
  }
}

/**
 * Says the framing anew, for every method alike, and removes the `content-length: 0` that httpxy adds to DELETE and
 * OPTIONS: without a length of its own the body of such a request would be read as the next request on the connection.
 */
function setFraming(proxyRequest: ClientRequest, { framing }: ForwardRequest): void {
  if (proxyRequest.hasHeader('content-length')) proxyRequest.removeHeader('content-length')
  if (framing.kind === 'length') proxyRequest.setHeader('content-length', String(framing.length))
  if (framing.kind === 'chunked') proxyRequest.setHeader('transfer-encoding', 'chunked')
}

/** As much of a response as they read. */
export class ResponseSink extends EventEmitter {
  /** Keeps httpxy's own handling of the answer away. */
  readonly finished = true
  writableFinished = false

  /** The exchange is over; unless it is whole with the upstream too, httpxy ends it there. */
  close(whole: boolean): void {
    this.writableFinished = whole
    this.emit('close')
  }
}
