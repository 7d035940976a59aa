import type { IncomingMessage } from 'node:http'
import { GatewayError } from './base/errors.ts'
import type { Exchange } from './exchange.ts'
import type { Listener } from './listener.ts'
import { callerAddress } from './proxy/forwarded.ts'
import { hasBody, readFraming } from './proxy/framing.ts'
import { headerValues } from './proxy/header-names.ts'
import {
  readExpectContinue,
  readMethodOverrides,
  readPreflight,
  requireForwardableMethod,
  requireNoLoop,
  requireSingleHeaders,
} from './proxy/request-head.ts'
import type { UpgradeConnection } from './proxy/upgrade-connection.ts'
import { asksForWebSocket, requireWebSocketRequest } from './proxy/upgrade-request.ts'
import { type AbsoluteTarget, readAbsoluteTarget } from './routes/absolute-target.ts'
import { readHost } from './routes/host.ts'
import { readRequestTarget, requireShortTarget } from './routes/request-target.ts'

export type Reading = ReturnType<typeof readRequest>

/** One reading of the target, the headers that decide, and the framing. What is ambiguous is refused, never repaired. */
export function readRequest({ request, target, listener, parts, outcome, upgrade }: Exchange) {
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
  const proxied = readProxied(target, method, listener)
  if (proxied) Object.assign(outcome, { host: proxied.host, path: proxied.path })
  const host = readHost(headerValues(rawHeaders, 'host')[0], request.httpVersion)
  const overrides = readMethodOverrides(rawHeaders)
  return {
    target: readRequestTarget(proxied?.path ?? target, { targetLength: listener.options.limits.target_length }),
    // What the target says of the host counts, whatever Host does; a request without a sound Host is refused all the same.
    host: proxied?.host ?? host,
    /** Host and port as the caller wrote them. */
    authority: proxied?.authority ?? request.headers.host ?? '',
    /** Given for a request to a forward proxy. */
    proxied,
    methods: [method, ...overrides] as [string, ...string[]],
    /** The method that a browser asks for in a preflight, which never has a body, nor means another method than its own. */
    preflightFor:
      method === 'OPTIONS' && overrides.length === 0 && !hasBody(framing) ? readPreflight(rawHeaders) : undefined,
    framing,
    expectsContinue,
  }
}

/** Anywhere else such a target is refused, like any other that is no path. */
function readProxied(target: string, method: string, { options, proxy }: Listener): AbsoluteTarget | undefined {
  if (!proxy || target.startsWith('/')) return undefined
  requireShortTarget(target, options.limits.target_length)
  return readAbsoluteTarget(target, method)
}

/** A server that the gateway is not attached to hands over no connection. */
function requireUpgrade(request: IncomingMessage, upgrade: UpgradeConnection | undefined): void {
  requireWebSocketRequest(request)
  if (!upgrade) throw new GatewayError('upgrade_not_supported', { closeConnection: true })
}
