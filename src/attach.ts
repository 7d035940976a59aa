import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type ErrorCode, GatewayError } from './base/errors.ts'
import type { ListenerOptions } from './config/listener.ts'
import { type ErrorContext, isLingering, writeErrorToSocket } from './error-response.ts'

/** What a listener's own server is created with: the limits that Node takes at that moment alone. */
export function serverOptions(options: ListenerOptions): ServerOptions {
  return {
    // The target is counted by Node as a part of the headers; it has a limit of its own here.
    maxHeaderSize: options.limits.header_size + options.limits.target_length,
    // Node looks at slow headers every 30 s by default, which would triple a limit of 10 s.
    connectionsCheckingInterval: 1000,
    // A missing Host is answered by the gateway, like every other fault.
    requireHostHeader: false,
    noDelay: true,
  }
}

/** A request for which Node waits for `100 Continue`: it goes out once the request is admitted, not before. */
const awaitingContinue = new WeakSet<IncomingMessage>()

/** True once for such a request. */
export function takeAwaitingContinue(request: IncomingMessage): boolean {
  return awaitingContinue.delete(request)
}

export interface Attachment {
  readonly options: ListenerOptions
  readonly context: ErrorContext
  /** Told of what was refused before there was a request. */
  refused(error: GatewayError, socket: Socket): void
}

/** Sets a listener's limits on a server, and answers in its name what Node would answer, or drop, by itself. */
export function attachTo(server: Server, { options, context, refused }: Attachment): void {
  server.headersTimeout = options.timeouts.headers
  server.keepAliveTimeout = options.timeouts.keep_alive
  // The silence between two pieces of a body is timed instead: a total would end slow but honest uploads.
  server.requestTimeout = 0
  // Node drops the headers past this number in silence, a Transfer-Encoding among them; they are counted when read.
  server.maxHeadersCount = 0

  const refuse = (socket: Socket, error: GatewayError) => {
    socket.on('error', () => socket.destroy())
    refused(error, socket)
    writeErrorToSocket(socket, error, context)
  }
  const again = (request: IncomingMessage, response: ServerResponse) => {
    awaitingContinue.add(request)
    server.emit('request', request, response)
  }
  server.on('checkContinue', again)
  // An expectation that is none: the reading of the request answers 417.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  server.on('connect', (_request, socket) =>
    refuse(socket as Socket, new GatewayError('invalid_target', { reason: 'CONNECT', closeConnection: true })),
  )
  const latest = new WeakMap<Socket, ServerResponse>()
  server.prependListener('request', (request, response) => latest.set(request.socket, response))
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    const code = clientErrorCode(error)
    const response = latest.get(socket as Socket)
    if (response && isLingering(response)) (socket as Socket).destroySoon()
    else if (code === undefined || isAnswering(response)) socket.destroy()
    else refuse(socket as Socket, new GatewayError(code, { reason: error.code ?? error.name, closeConnection: true }))
  })
  let connections = 0
  server.on('connection', (socket) => {
    connections++
    socket.once('close', () => connections--)
    if (connections > options.limits.connections)
      refuse(socket, new GatewayError('too_many_connections', { retryAfterSeconds: 1, closeConnection: true }))
  })
}

/**
 * True while an answer is under way that an error written to the socket would mix with: one that has begun, or one to an
 * earlier request, whose caller would take the error for its own answer.
 */
function isAnswering(response: ServerResponse | undefined): boolean {
  return response !== undefined && !response.writableFinished && (response.headersSent || response.req.complete)
}

/** What Node's parser complains of, as an answer; `undefined` where there is nobody to answer. */
function clientErrorCode({ code = '' }: NodeJS.ErrnoException): ErrorCode | undefined {
  if (code === 'HPE_INVALID_METHOD') return 'method_not_implemented'
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large'
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 'body_too_large'
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout'
  return code.startsWith('HPE_') ? 'malformed_request' : undefined
}
