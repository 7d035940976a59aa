import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { type ErrorCode, GatewayError } from './base/errors.ts'
import type { ListenerOptions } from './config/listener.ts'
import { type ErrorContext, isLingering, writeErrorToSocket } from './error-response.ts'

/** What a listener's own server is created with: the limits that Node takes at that moment alone. */
export function serverOptions(options: ListenerOptions): ServerOptions {
  return {
    // The target is counted by Node as a part of the headers; it has a limit of its own here.
    maxHeaderSize: options.limits.header_size + options.limits.target_length,
    // Node looks at slow headers every 30 s by default, which would triple a limit of 10 s. Here they end within a second.
    connectionsCheckingInterval: 500,
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
  readonly upgrades: Upgrades
  /** What the listener does about TLS, if it speaks it. */
  readonly tls?: { attach(server: Server): void } | undefined
}

/** Which connections are taken over for another protocol, and by whom. */
export interface Upgrades {
  /** False: the offer of another protocol is passed over, and the request answered like any other. */
  areTaken(request: IncomingMessage): boolean
  /** False for a request that is another application's. */
  areOurs(request: IncomingMessage): boolean
  /** `earlier` are the responses that have to go out first on this connection, oldest first. */
  take(upgrade: {
    readonly request: IncomingMessage
    readonly socket: Socket
    readonly head: Buffer
    readonly earlier: readonly ServerResponse[]
  }): void
}

/**
 * Sets a listener's limits on a server, and answers in its name what Node would answer, or drop, by itself.
 * @throws {TypeError} if the server is attached to already, or is none for this listener
 */
export function attachTo(server: Server, { options, context, refused, upgrades, tls }: Attachment): void {
  // Of two, the laxer one would take the upgrades that the stricter one refuses, and their limits would overwrite each other.
  if (attached.has(server)) throw new TypeError('a gateway is attached to this server already')
  tls?.attach(server)
  attached.add(server)
  server.headersTimeout = options.timeouts.headers
  server.keepAliveTimeout = options.timeouts.keep_alive
  // The silence between two pieces of a body is timed instead: a total would end slow but honest uploads.
  server.requestTimeout = 0
  // Node drops the headers past this number in silence, a Transfer-Encoding among them; they are counted when read.
  server.maxHeadersCount = 0

  const refuse = (socket: Socket, error: GatewayError) => {
    socket.on('error', () => socket.destroy())
    refusedSockets.add(socket)
    refused(error, socket)
    writeErrorToSocket(socket, error, context)
  }
  server.on('checkContinue', (request, response) => {
    awaitingContinue.add(request)
    // Somebody else's request, in an application around the gateway: it gets its 100 once its body is wanted.
    request.on('newListener', (event) => {
      if ((event === 'data' || event === 'readable') && takeAwaitingContinue(request)) response.writeContinue()
    })
    server.emit('request', request, response)
  })
  // An expectation that is none: the reading of the request answers 417.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  const unfinished = new WeakMap<object, Set<ServerResponse>>()
  function forget(this: ServerResponse): void {
    unfinished.get(this.req.socket)?.delete(this)
  }
  server.on('connect', (_request, stream) => {
    const socket = stream as Socket
    const responses = [...(unfinished.get(socket) ?? [])]
    const code = options.forward_proxy ? 'https_not_proxied' : 'invalid_target'
    if (responses.length === 0)
      return refuse(socket, new GatewayError(code, { reason: 'CONNECT', closeConnection: true }))
    // The caller would take the refusal for the answer to its first request. Of a connection that Node has handed over, it
    // tells the end to that one alone: those behind it would wait for ever, and as many of them as a caller likes.
    socket.on('error', () => socket.destroy())
    for (const response of responses) response.destroy()
  })
  server.prependListener('request', (request, response) => {
    const known = unfinished.get(request.socket)
    const responses = known ?? new Set()
    if (!known) unfinished.set(request.socket, responses)
    responses.add(response)
    response.on('close', forget)
    // Pipelined requests wait for one another in memory.
    if (responses.size > mostPipelined) request.socket.destroy()
  })
  const isOthers = (request: IncomingMessage) => server.listenerCount('upgrade') > 1 && !upgrades.areOurs(request)
  const asBefore = (server as Pick<ServerOptions, 'shouldUpgradeCallback'>).shouldUpgradeCallback?.bind(server)
  Object.assign(server, {
    shouldUpgradeCallback: (request: IncomingMessage) =>
      isOthers(request) ? (asBefore?.(request) ?? true) : upgrades.areTaken(request),
  })
  server.on('upgrade', (request, stream, head) => {
    if (isOthers(request)) return
    const socket = stream as Socket
    upgrades.take({ request, socket, head, earlier: [...(unfinished.get(socket) ?? [])] })
  })
  server.on('clientError', (error: NodeJS.ErrnoException, stream) => {
    const socket = stream as Socket
    const code = clientErrorCode(error)
    const responses = [...(unfinished.get(socket) ?? [])]
    if (responses.length === 1 && responses.every(isLingering)) socket.destroySoon()
    else if (code !== undefined && !refusedSockets.has(socket) && awaitsLastAnswer(responses))
      closeBehind(responses, socket)
    else if (code === undefined || refusedSockets.has(socket) || !canBeAnswered(responses)) socket.destroy()
    else refuse(socket, new GatewayError(code, { reason: error.code ?? error.name, closeConnection: true }))
  })
  const full = () => new GatewayError('too_many_connections', { retryAfterSeconds: 1, closeConnection: true })
  let connections = 0
  server.on('connection', (socket) => {
    connections++
    socket.once('close', () => connections--)
    if (connections <= options.limits.connections) return
    // Before the handshake there is nobody who could read an answer, and a handshake costs most of all.
    if (!(server instanceof TlsServer)) return refuse(socket, full())
    refused(full(), socket)
    socket.destroy()
  })
}

const attached = new WeakSet<Server>()

const mostPipelined = 64

/** Connections that have had their last answer: what still comes on them is nobody's request. */
const refusedSockets = new WeakSet<object>()

/** True for a request on a connection that was refused: its caller was told that it will not be served. */
export function isRefused(request: IncomingMessage): boolean {
  return refusedSockets.has(request.socket)
}

/**
 * An error written to the socket would mix with any answer under way: one that has begun, or one to an earlier request,
 * whose caller would take the error for its own answer. So it can be answered only where nothing is, or the one request
 * whose body is at fault.
 */
function canBeAnswered(responses: readonly ServerResponse[]): boolean {
  return responses.length <= 1 && responses.every((response) => !response.headersSent && !response.req.complete)
}

/** True where the one request is whole, and only what comes behind it is no request. */
function awaitsLastAnswer(responses: readonly ServerResponse[]): boolean {
  return responses.length === 1 && responses.every((response) => !response.headersSent && response.req.complete)
}

/** Its caller gets the answer, and nothing more is read on the connection: where a request begins there is not certain. */
function closeBehind(responses: readonly ServerResponse[], socket: Socket): void {
  refusedSockets.add(socket)
  for (const response of responses) response.shouldKeepAlive = false
}

/** What Node's parser complains of, as an answer; `undefined` where there is nobody to answer. */
function clientErrorCode({ code = '' }: NodeJS.ErrnoException): ErrorCode | undefined {
  if (code === 'HPE_INVALID_METHOD') return 'method_not_implemented'
  if (code === 'HPE_HEADER_OVERFLOW') return 'headers_too_large'
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return 'body_too_large'
  if (code === 'ERR_HTTP_REQUEST_TIMEOUT') return 'request_timeout'
  return code.startsWith('HPE_') ? 'malformed_request' : undefined
}
