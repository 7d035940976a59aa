import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { MetricSnapshot } from './admin/metrics.ts'
import { takeAwaitingContinue } from './attach.ts'
import { type Clock, systemClock } from './base/clock.ts'
import { GatewayError } from './base/errors.ts'
import { createLog, type Log } from './base/log.ts'
import type { Config } from './config/load.ts'
import { createDoor, type GatewayListener } from './door.ts'
import type { TokenCache } from './egress/token-cache/define.ts'
import { answerError, toGatewayError } from './error-response.ts'
import type { Exchange } from './exchange.ts'
import type { AccessToken } from './ingress/access-token.ts'
import { verifiedCertificate } from './ingress/certificate-callers.ts'
import type { Forwarded } from './proxy/exchange.ts'
import type { TunnelEnd } from './proxy/upgrade-tunnel.ts'
import { admit } from './request-admission.ts'
import { logRequest, logUpgradeEnd, statusOf } from './request-log.ts'
import { readRequest } from './request-reading.ts'
import { chooseRoute } from './request-route.ts'
import type { Route } from './route.ts'
import { type Admitted, createHeads, obtainToken, relocate } from './upstream-request.ts'
import { wire } from './wiring.ts'

export interface GatewayOptions {
  /** Default: lines of JSON on standard output. */
  readonly log?: Log
  readonly clock?: Clock
  /** Where tokens are shared with other processes, instead of where the configuration says. */
  readonly tokenCache?: TokenCache | undefined
}

/** A gateway. Its own way in is that of the listener which stands first in the configuration. */
export interface Gateway extends GatewayListener {
  /** @throws TypeError if the configuration has no listener of that name */
  listener(name: string): GatewayListener
  /** Resolves, soon, once it is known what can be shared with other processes; they share from the first request on. */
  ready(): Promise<void>
  /** Loads what only WebSockets need, so that the first of them does not wait for it. */
  prepareUpgrades(): Promise<void>
  /** What is counted of its requests, as text for Prometheus. */
  metrics(): Promise<string>
  /** The same as values, which another process can sum. */
  countedMetrics(): Promise<MetricSnapshot>
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
  const { log = createLog(), clock = systemClock, tokenCache } = options
  const parts = wire(config, { log, clock, tokenCache })
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
    prepareUpgrades: () => parts.forwarder.prepareUpgrades(),
    metrics: () => parts.metrics.text(),
    countedMetrics: () => parts.metrics.snapshot(),
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
async function handleRequest(exchange: Exchange, previous: ServerResponse | undefined): Promise<void> {
  let forwarded: Forwarded | undefined
  try {
    await ownTurn(exchange, previous)
    const reading = readRequest(exchange)
    const route = chooseRoute(exchange, reading)
    const caller = await admit(exchange, route, reading)
    const token = await obtainToken(exchange, route, caller)
    forwarded = await forward(exchange, { route, reading, caller, token })
    exchange.outcome.upstreamStatus = forwarded.status
  } catch (error) {
    if (isForNext(exchange, error)) return passOn(exchange)
    answerFailure(exchange, error)
  }
  record(exchange)
  if (forwarded?.ended) recordEnd(exchange, await forwarded.ended)
}

/**
 * A request that was sent before the last one was answered (pipelining) waits until it is. Every other one is waited for
 * too, but no longer than Node takes to tell that it has no body.
 */
function ownTurn({ response, upgrade }: Exchange, previous: ServerResponse | undefined): Promise<void> | undefined {
  if (upgrade) return upgrade.turn()
  return !previous || previous.writableFinished || previous.destroyed ? undefined : turnAfter(previous, response)
}

async function turnAfter(previous: ServerResponse, response: ServerResponse): Promise<void> {
  await new Promise((resolve) => previous.once('close', resolve))
  if (response.destroyed) throw new GatewayError('caller_gone')
}

function forward(exchange: Exchange, { route, reading, caller, token }: Admitted): Promise<Forwarded> {
  const { request, response, listener, parts, upgrade } = exchange
  const { timeouts, limits } = listener.options
  const { head, refresh, reauthorize } = createHeads(exchange, { route, reading, caller, token })
  return parts.forwarder.forward({
    request,
    response,
    upstream: route.upstream,
    path: route.upstream.rewrite(reading.target.raw),
    headers: head.headers,
    sendBefore: head.sendBefore,
    framing: reading.framing,
    bodyIdle: timeouts.body_idle,
    sendContinue: takeAwaitingContinue(request) && reading.expectsContinue,
    bodyLimit: limits.body_size,
    refresh: token && refresh,
    reauthorize: route.token?.replaceRefused ? reauthorize : undefined,
    relocate: route.upstream.relocate && ((location) => relocate(exchange, { route, reading }, location)),
    upgrade: upgrade && { connection: upgrade, endAt: endOf(exchange, route, caller) },
  })
}

/** When a connection ends that was upgraded: with what let its caller in, be it a token, a certificate or the time of a trial. */
function endOf({ request, outcome }: Exchange, route: Route, caller: AccessToken | undefined): number | undefined {
  if (outcome.report?.refusal) return route.report?.until
  const certificate = outcome.certificate === undefined ? undefined : verifiedCertificate(request.socket)
  const ends = [certificate?.validToDate.getTime(), route.endsAtExpiry ? caller?.expiresAt : undefined]
  const known = ends.filter((end) => end !== undefined)
  return known.length === 0 ? undefined : Math.min(...known)
}

/** A whole URL is for the proxy alone: to an application around it, a stranger's path would look like one of its own. */
function isForNext({ next, target }: Exchange, error: unknown): boolean {
  const isPath = next !== undefined && target.startsWith('/')
  return isPath && error instanceof GatewayError && error.code === 'no_route'
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
  logRequest(parts.requestLog, {
    requestId,
    listener: listener.name,
    method: request.method,
    target,
    startedAt,
    outcome,
  })
}
