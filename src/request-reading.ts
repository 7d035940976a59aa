import type { IncomingMessage } from 'node:http'
import { GatewayError } from './base/errors.ts'
import type { Exchange } from './exchange.ts'
import { callerAddress } from './proxy/forwarded.ts'
import { readFraming } from './proxy/framing.ts'
import { headerValues } from './proxy/header-names.ts'
import {
  readExpectContinue,
  readMethodOverrides,
  requireForwardableMethod,
  requireNoLoop,
  requireSingleHeaders,
} from './proxy/request-head.ts'
import type { UpgradeConnection } from './proxy/upgrade-connection.ts'
import { asksForWebSocket, requireWebSocketRequest } from './proxy/upgrade-request.ts'
import { readHost } from './routes/host.ts'
import { readRequestTarget } from './routes/request-target.ts'

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
