import { randomUUID } from 'node:crypto'
import type { IncomingMessage, OutgoingHttpHeaders, Server, ServerOptions, ServerResponse } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { attachTo, isRefused, serverOptions, takeAwaitingContinue } from './attach.ts'
import { type Clock, systemClock } from './base/clock.ts'
import { GatewayError } from './base/errors.ts'
import { createLog, type Log } from './base/log.ts'
import type { Config } from './config/load.ts'
import { expiryOf, isSpent } from './egress/access-token.ts'
import { answerError, toGatewayError } from './error-response.ts'
import { readBearerToken } from './ingress/bearer-token.ts'
import { callerAddress, isTrustedPeer } from './proxy/forwarded.ts'
import { readFraming } from './proxy/framing.ts'
import { headerValues } from './proxy/header-names.ts'
import {
  asksForWebSocket,
  readExpectContinue,
  readMethodOverrides,
  requireForwardableMethod,
  requireNoLoop,
  requireSingleHeaders,
} from './proxy/request-head.ts'
import { buildRequestHeaders, type OutgoingToken } from './proxy/request-headers.ts'
import { logRefusal, logRequest, type Outcome } from './request-log.ts'
import { readHost } from './routes/host.ts'
import { readRequestTarget } from './routes/request-target.ts'
import { type Listener, type Parts, type Route, wire } from './wiring.ts'

export interface GatewayOptions {
  /** Default: lines of JSON on standard output. */
  readonly log?: Log
  readonly clock?: Clock
}

/** One listener's way in. */
export interface GatewayListener {
  /** Options for `http.createServer`: the limits that Node takes only there. */
  readonly serverOptions: ServerOptions
  /** Answers every request. */
  handler(request: IncomingMessage, response: ServerResponse): void
  /** For an Express app: calls `next()` only when no pattern owns the path, and never after a refusal. */
  middleware(request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void
  /** Sets the listener's limits on a server, and takes over what Node would answer by itself. */
  attach(server: Server): void
}

/** A gateway. Its own way in is that of the listener which stands first in the configuration. */
export interface Gateway extends GatewayListener {
  /** @throws TypeError if the configuration has no listener of that name */
  listener(name: string): GatewayListener
  /** Resolves, soon, once it is known what can be shared with other processes; they share from the first request on. */
  ready(): Promise<void>
  /** From now on every new request is answered 503; what is in flight goes on. */
  stop(): void
  /** Waits for what is in flight, and ends the gateway's own connections and timers. Nothing can be forwarded afterwards. */
  close(): Promise<void>
}

/** Builds a gateway from a configuration. It opens no port: mount its handler or middleware, and attach it to the server. */
export function createGateway(config: Config, options: GatewayOptions = {}): Gateway {
  const { log = createLog(), clock = systemClock } = options
  const parts = wire(config, { log, clock })
  const doors = new Map(parts.listeners.map((listener) => [listener.name, createDoor(listener, parts)]))
  const [first] = doors.values()
  if (!first) throw new TypeError('the configuration has no listener')
  return {
    ...first,
    listener(name) {
      const door = doors.get(name)
      if (!door) throw new TypeError(`there is no listener ${name}; there is ${[...doors.keys()].join(', ')}`)
      return door
    },
    ready: () => parts.tokens.ready(),
    stop() {
      parts.stopping = true
    },
    close() {
      parts.stopping = true
      return parts.close()
    },
  }
}

/** The last response of each connection: answers go out in the order of the requests, and so they are worked on. */
const lastResponses = new WeakMap<object, ServerResponse>()

function createDoor(listener: Listener, parts: Parts): GatewayListener {
  const handle = (request: IncomingMessage, response: ServerResponse, next?: (error?: unknown) => void) => {
    if (isRefused(request)) {
      request.socket.destroy()
      return
    }
    const previous = lastResponses.get(request.socket)
    lastResponses.set(request.socket, response)
    const target = (next && (request as { originalUrl?: string }).originalUrl) ?? request.url ?? ''
    const onItsWay = handleRequest({
      request,
      response,
      target,
      listener,
      parts,
      requestId: randomUUID(),
      startedAt: performance.now(),
      outcome: { code: 'ok' },
      previous,
      next,
    })
      // Only the answering or the logging of an error can fail here, and neither may end the process.
      .catch(() => request.socket.destroy())
      .finally(() => parts.inFlight.delete(onItsWay))
    parts.inFlight.add(onItsWay)
  }
  return {
    serverOptions: serverOptions(listener.options),
    handler: (request, response) => handle(request, response),
    middleware: handle,
    attach: (server) =>
      attachTo(server, {
        options: listener.options,
        context: { realm: listener.realm },
        refused: (error, socket) => logRefusal(parts.log, listener.name, error, socket),
      }),
  }
}

/** One request on its way. */
interface Exchange {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  /** As the caller sent it, also where an application has cut its own prefix off. */
  readonly target: string
  readonly listener: Listener
  readonly parts: Parts
  readonly requestId: string
  readonly startedAt: number
  readonly outcome: Outcome
  /** The response before this one on the same connection. */
  readonly previous: ServerResponse | undefined
  /** Given where another application may own the path. */
  readonly next: ((error?: unknown) => void) | undefined
}

/** The way of one request. This is the only place that knows the order. */
async function handleRequest(exchange: Exchange): Promise<void> {
  try {
    await ownTurn(exchange)
    const reading = readRequest(exchange)
    const route = matchRoute(exchange, reading)
    const claims = await admit(exchange, route)
    const token = await obtainToken(exchange, route)
    await forward(exchange, { route, reading, claims, token })
  } catch (error) {
    if (isForNext(exchange, error)) return passOn(exchange)
    answerFailure(exchange, error)
  }
  record(exchange)
}

/** A request that was sent before the last one was answered (pipelining) waits until it is. */
async function ownTurn({ response, previous }: Exchange): Promise<void> {
  if (!previous || previous.writableFinished || previous.destroyed) return
  await new Promise((resolve) => previous.once('close', resolve))
  if (response.destroyed) throw new GatewayError('caller_gone')
}

/** The caller may leave while it waits: then nobody goes on for it, and what it waited for goes on for the others. */
async function whileOpen<Value>(response: ServerResponse, work: Promise<Value>): Promise<Value> {
  const { promise: left, reject } = Promise.withResolvers<never>()
  const leave = () => reject(new GatewayError('caller_gone'))
  if (response.destroyed) leave()
  response.once('close', leave)
  try {
    return await Promise.race([work, left])
  } finally {
    response.off('close', leave)
  }
}

type Reading = ReturnType<typeof readRequest>

/** One reading of the target, the headers that decide, and the framing. What is ambiguous is refused, never repaired. */
function readRequest({ request, target, listener, parts, outcome }: Exchange) {
  const { rawHeaders, method = '' } = request
  outcome.address = callerAddress(request, listener.trustedProxies)
  if (parts.stopping) throw new GatewayError('stopping', { retryAfterSeconds: 1, closeConnection: true })
  if (rawHeaders.length > 2 * listener.options.limits.headers)
    throw new GatewayError('headers_too_large', { reason: 'too many headers', closeConnection: true })
  const framing = readFraming(request)
  requireSingleHeaders(rawHeaders)
  requireForwardableMethod(method)
  const expectsContinue = readExpectContinue(request)
  requireNoLoop(rawHeaders, parts.viaName)
  if (asksForWebSocket(rawHeaders)) throw new GatewayError('upgrade_not_supported', { closeConnection: true })
  return {
    target: readRequestTarget(target, { targetLength: listener.options.limits.target_length }),
    host: readHost(headerValues(rawHeaders, 'host')[0], request.httpVersion),
    methods: [method, ...readMethodOverrides(rawHeaders)] as [string, ...string[]],
    framing,
    expectsContinue,
  }
}

function matchRoute({ listener, outcome }: Exchange, reading: Reading): Route {
  const route = listener.routes.match(reading)
  outcome.route = route.name
  return route
}

/** Gives back the claims of the caller's token, on routes that require one. */
async function admit(
  { request, response, target, parts, outcome }: Exchange,
  route: Route,
): Promise<object | undefined> {
  route.callers?.check(outcome.address)
  if (!route.requirement) return undefined
  const bearer = readBearerToken(request.headers.authorization, target)
  const token = await whileOpen(response, parts.accessTokens.verify(bearer, route.requirement))
  outcome.callerId = token.clientId
  route.requirement.check(token)
  return token.claims
}

/** The token that goes out, as the token source gives it. */
type Token = Awaited<ReturnType<Parts['tokens']['get']>>['token']

/** A request that needs a token never goes on without one. */
async function obtainToken({ response, parts, outcome }: Exchange, route: Route): Promise<Token | undefined> {
  if (!route.token) return undefined
  outcome.client = route.token.client
  const { token, source } = await whileOpen(response, parts.tokens.get(route.token.request))
  outcome.tokenSource = source
  return token
}

/** The successor of a token that the upstream refused, if there is one to be had. */
async function replaceToken(
  { response, parts, outcome }: Exchange,
  route: Route,
  refused: Token,
): Promise<Token | undefined> {
  if (!route.token) return undefined
  const successor = await whileOpen(response, parts.tokens.replace(route.token.request, refused))
  if (!successor) return undefined
  outcome.tokenSource = successor.source
  outcome.replaced = true
  return successor.token
}

interface Admitted {
  readonly route: Route
  readonly reading: Reading
  readonly claims: object | undefined
  readonly token: Token | undefined
}

async function forward(exchange: Exchange, { route, reading, claims, token }: Admitted): Promise<void> {
  const { request, response, listener, parts, outcome } = exchange
  const { timeouts, limits } = listener.options
  let current = token
  const headWith = (next: Token | undefined) => {
    current = next
    const headers = headersFor(exchange, { route, claims, token: next })
    const sendBefore = next && expiryOf(next)
    return { headers, ...(sendBefore !== undefined && { sendBefore }) }
  }
  const refresh = async () =>
    headWith(current && isSpent(current, parts.clock.now()) ? await obtainToken(exchange, route) : current)
  const reauthorize = async () => {
    const successor = current && (await replaceToken(exchange, route, current))
    return successor && headWith(successor)
  }
  const { status } = await parts.forwarder.forward({
    request,
    response,
    upstream: route.upstream,
    path: route.upstream.rewrite(reading.target.raw),
    ...headWith(token),
    framing: reading.framing,
    bodyIdle: timeouts.body_idle,
    sendContinue: takeAwaitingContinue(request) && reading.expectsContinue,
    ...(limits.body_size !== undefined && { bodyLimit: limits.body_size }),
    ...(token && { refresh }),
    ...(route.token?.replaceRefused && { reauthorize }),
  })
  outcome.upstreamStatus = status
}

function outgoing({ header, scheme }: NonNullable<Route['token']>, { value }: Token): OutgoingToken {
  return { header, scheme, value: value.read() }
}

/** The headers for the upstream, with this token in them. */
function headersFor(
  { request, listener }: Exchange,
  { route, claims, token }: Omit<Admitted, 'reading'>,
): OutgoingHttpHeaders {
  const { public_url: publicUrl } = listener.options
  return buildRequestHeaders(route.headers, {
    rawHeaders: request.rawHeaders,
    httpVersion: request.httpVersion,
    peerAddress: request.socket.remoteAddress ?? '',
    trustedPeer: isTrustedPeer(request, listener.trustedProxies),
    encrypted: (request.socket as Partial<TLSSocket>).encrypted === true,
    host: request.headers.host ?? '',
    ...(publicUrl !== undefined && { publicUrl }),
    ...(claims && { claims }),
    ...(token && route.token && { token: outgoing(route.token, token) }),
  })
}

function isForNext({ next }: Exchange, error: unknown): boolean {
  return next !== undefined && error instanceof GatewayError && error.code === 'no_route'
}

/** The path is another application's. Should its caller wait for 100 Continue, that application will want the body. */
function passOn({ request, response, next }: Exchange): void {
  if (takeAwaitingContinue(request)) response.writeContinue()
  next?.()
}

function answerFailure({ request, response, listener, requestId, outcome }: Exchange, thrown: unknown): void {
  // Nobody is asked to send a body that is not wanted.
  takeAwaitingContinue(request)
  const error = toGatewayError(thrown)
  outcome.code = error.code
  outcome.error = error
  answerError(request, response, error, { realm: listener.realm, requestId })
}

function record({ request, target, listener, parts, requestId, startedAt, outcome }: Exchange): void {
  logRequest(parts.log, { requestId, listener: listener.name, method: request.method, target, startedAt, outcome })
}
