import { EventEmitter } from 'node:events'
import type { ClientRequest } from 'node:http'
import type { ForwardRequest } from './exchange.ts'

/** Called for the body as soon as there is a connection, be it open or not yet. */
export type SendBody = (proxyRequest: ClientRequest) => void

/** As much of a request as http-proxy-middleware and httpxy read. */
export class RequestView extends EventEmitter {
  // The real path stands in the target, which the library puts before this one: so it never parses a caller's bytes.
  readonly url = '/'
  readonly httpVersionMajor = 1
  readonly socket = { writable: true }
  readonly method: string
  readonly headers: object
  readonly pipe: SendBody

  constructor({ request, headers }: ForwardRequest, sendBody: SendBody) {
    super()
    this.method = request.method ?? 'GET'
    this.headers = { ...headers }
    this.pipe = sendBody
  }
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
