import type { IncomingMessage, OutgoingHttpHeaders } from 'node:http'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { takeAwaitingContinue } from './attach.ts'
import { type Clock, systemClock } from './base/clock.ts'
import { GatewayError } from './base/errors.ts'
import { createLog, type Log } from './base/log.ts'
import type { Config } from './config/load.ts'
import { createDoor, type GatewayListener } from './door.ts'
import { expiryOf, isSpent } from './egress/access-token.ts'
import { answerError, toGatewayError } from './error-response.ts'
import { type Exchange, whileOpen } from './exchange.ts'
import type { AccessToken } from './ingress/access-token.ts'
import { readBearerToken } from './ingress/bearer-token.ts'
import { verifiedCertificate } from './ingress/certificate-callers.ts'
import { enforce, reportTo } from './ingress/report-mode.ts'
import type { Forwarded } from './proxy/exchange.ts'
import { callerAddress, isTrustedPeer } from './proxy/forwarded.ts'
import { readFraming } from './proxy/framing.ts'
import { headerValues } from './proxy/header-names.ts'
import {
  readExpectContinue,
  readMethodOverrides,
  requireForwardableMethod,
  requireNoLoop,
  requireSingleHeaders,
} from './proxy/request-head.ts'
import { buildRequestHeaders, type OutgoingToken } from './proxy/request-headers.ts'
import type { UpgradeConnection } from './proxy/upgrade-connection.ts'
import { asksForWebSocket, requireWebSocketRequest } from './proxy/upgrade-request.ts'
import type { TunnelEnd } from './proxy/upgrade-tunnel.ts'
import { logRequest, logUpgradeEnd, noteRefusal, type Outcome, statusOf } from './request-log.ts'
import { readHost } from './routes/host.ts'
import { readRequestTarget } from './routes/request-target.ts'
import { type Parts, type Route, wire } from './wiring.ts'

export interface GatewayOptions {
  /** Default: lines of JSON on standard output. */
  readonly log?: Log
  readonly clock?: Clock
}

/** A gateway. Its own way in is that of the listener which stands first in the configuration. */
export interface Gateway extends GatewayListener {
  /** @throws TypeError if the configuration has no listener of that name */
  listener(name: string): GatewayListener
  /** Resolves, soon, once it is known what can be shared with other processes; they share from the first request on. */
  ready(): Promise<void>
  /** What is counted of its requests, as text for Prometheus. */
  metrics(): Promise<string>
  /** From now on every new request is answered 503; what is in flight goes on. */
  stop(): void
  /** True for a connection that has become, or is to become, a WebSocket: its server knows of no request on it. */
  isUpgraded(socket: Socket): boolean
  /** Cuts those connections, which no server does. Gives back how many. */
  endUpgraded(): number
  /**
   * Ends upgraded connections, waits for what else is in flight, and ends the gateway's own connections and timers.
   * Nothing can be forwarded afterwards.
   */
  close(): Promise<void>
}

/** Builds a gateway from a configuration. It opens no port: mount its handler or middleware, and attach it to the server. */
export function createGateway(config: Config, options: GatewayOptions = {}): Gateway {
  const { log = createLog(), clock = systemClock } = options
  const parts = wire(config, { log, clock })
  const doors = new Map(parts.listeners.map((listener) => [listener.name, createDoor(listener, parts, handleRequest)]))
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
    metrics: () => parts.metrics.text(),
    stop() {
      parts.stopping = true
    },
    isUpgraded: (socket) => parts.upgraded.has(socket),
    endUpgraded: () => parts.endUpgraded(),
    close() {
      parts.stopping = true
      return parts.close()
    },
  }
}

/** The way of one request. This is the only place that knows the order. */
async function handleRequest(exchange: Exchange): Promise<void> {
  let forwarded: Forwarded | undefined
  try {
    await ownTurn(exchange)
    const reading = readRequest(exchange)
    const route = matchRoute(exchange, reading)
    const caller = await admit(exchange, route, reading)
    const token = await obtainToken(exchange, route)
    forwarded = await forward(exchange, { route, reading, caller, token })
  } catch (error) {
    if (isForNext(exchange, error)) return passOn(exchange)
    answerFailure(exchange, error)
  }
  record(exchange)
  if (forwarded?.ended) recordEnd(exchange, await forwarded.ended)
}

/** A request that was sent before the last one was answered (pipelining) waits until it is. */
async function ownTurn({ response, previous, upgrade }: Exchange): Promise<void> {
  if (upgrade) return upgrade.turn()
  if (!previous || previous.writableFinished || previous.destroyed) return
  await new Promise((resolve) => previous.once('close', resolve))
  if (response.destroyed) throw new GatewayError('caller_gone')
}

type Reading = ReturnType<typeof readRequest>

/** One reading of the target, the headers that decide, and the framing. What is ambiguous is refused, never repaired. */
function readRequest({ request, target, listener, parts, outcome, upgrade }: Exchange) {
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
  if (asksForWebSocket(request)) requireUpgrade(request, upgrade)
  return {
    target: readRequestTarget(target, { targetLength: listener.options.limits.target_length }),
    host: readHost(headerValues(rawHeaders, 'host')[0], request.httpVersion),
    methods: [method, ...readMethodOverrides(rawHeaders)] as [string, ...string[]],
    framing,
    expectsContinue,
  }
}

/** A server that the gateway is not attached to hands over no connection. */
function requireUpgrade(request: IncomingMessage, upgrade: UpgradeConnection | undefined): void {
  requireWebSocketRequest(request)
  if (!upgrade) throw new GatewayError('upgrade_not_supported', { closeConnection: true })
}

function matchRoute({ listener, outcome }: Exchange, reading: Reading): Route {
  const route = listener.routes.match(reading)
  outcome.route = route.name
  return route
}

/**
 * Gives back the caller's token, on routes that require one. In report mode everybody comes in, and those who would not
 * have done so have none.
 */
async function admit(exchange: Exchange, route: Route, reading: Reading): Promise<AccessToken | undefined> {
  const { outcome } = exchange
  if (route.report?.isOn()) outcome.report = { required: route.report.required }
  const judge = outcome.report ? reportTo(noteRefusal(outcome.report), exchange.parts.clock) : enforce
  await judge(() => requireCaller(exchange, route, reading))
  const caller = await judge(() => requireToken(exchange, route))
  if (outcome.report) outcome.report.judged = true
  return outcome.report?.refusal ? undefined : caller
}

function requireCaller({ request, outcome }: Exchange, { callers, browserRule }: Route, { host }: Reading): void {
  const { socket, headers } = request
  outcome.certificate = callers?.check({ address: outcome.address, certificate: verifiedCertificate(socket) })
  browserRule?.check({ headers, host, localAddress: socket.localAddress })
}

async function requireToken(
  { request, response, target, parts, outcome }: Exchange,
  route: Route,
): Promise<AccessToken | undefined> {
  if (!route.requirement) return undefined
  const bearer = readBearerToken(request.headers.authorization, target)
  const token = await whileOpen(response, parts.accessTokens.verify(bearer, route.requirement))
  outcome.callerId = token.clientId
  outcome.scopes = token.scopes
  route.requirement.check(token)
  return token
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
  /** What the caller's token says. */
  readonly caller: AccessToken | undefined
  readonly token: Token | undefined
}

async function forward(exchange: Exchange, { route, reading, caller, token }: Admitted): Promise<Forwarded> {
  const { request, response, listener, parts, outcome, upgrade } = exchange
  const { timeouts, limits } = listener.options
  let current = token
  const headWith = (next: Token | undefined) => {
    current = next
    const headers = headersFor(exchange, { route, caller, token: next })
    const sendBefore = next && expiryOf(next)
    return { headers, ...(sendBefore !== undefined && { sendBefore }) }
  }
  const refresh = async () =>
    headWith(current && isSpent(current, parts.clock.now()) ? await obtainToken(exchange, route) : current)
  const reauthorize = async () => {
    const successor = current && (await replaceToken(exchange, route, current))
    return successor && headWith(successor)
  }
  const forwarded = await parts.forwarder.forward({
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
    ...(upgrade && { upgrade: { connection: upgrade, endAt: endOf(route, outcome, caller) } }),
  })
  outcome.upstreamStatus = forwarded.status
  return forwarded
}

/** When a connection ends that was upgraded: with what let its caller in, be it a token or the time of a trial. */
function endOf(route: Route, { report }: Outcome, caller: AccessToken | undefined): number | undefined {
  if (report?.refusal) return route.report?.until
  return route.endsAtExpiry ? caller?.expiresAt : undefined
}

function outgoing({ header, scheme }: NonNullable<Route['token']>, { value }: Token): OutgoingToken {
  return { header, scheme, value: value.read() }
}

/** The headers for the upstream, with this token in them. */
function headersFor(
  { request, listener }: Exchange,
  { route, caller, token }: Omit<Admitted, 'reading'>,
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
    ...(caller && { claims: caller.claims }),
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

/** The end of a connection that was upgraded; that it was, its own line has said. */
function recordEnd({ listener, parts, requestId, startedAt, outcome }: Exchange, end: TunnelEnd): void {
  logUpgradeEnd(parts.log, { requestId, listener: listener.name, startedAt, outcome }, end)
}

function record({ request, target, listener, parts, requestId, startedAt, outcome }: Exchange): void {
  const seconds = (performance.now() - startedAt) / 1000
  parts.metrics.countRequest({ listener: listener.name, status: statusOf(outcome), seconds, outcome })
  logRequest(parts.log, { requestId, listener: listener.name, method: request.method, target, startedAt, outcome })
}
