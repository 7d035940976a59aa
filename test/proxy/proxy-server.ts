import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import type { GatewayError } from '../../src/base/errors.ts'
import { answerError, toGatewayError } from '../../src/error-response.ts'
import type { Engine } from '../../src/proxy/engine.ts'
import type { Forwarded } from '../../src/proxy/exchange.ts'
import { createForwarder, type Forwarder, type ForwardRequest } from '../../src/proxy/forward.ts'
import { readFraming } from '../../src/proxy/framing.ts'
import type { BodyBudget } from '../../src/proxy/kept-body.ts'
import { readExpectContinue, requireSingleHeaders } from '../../src/proxy/request-head.ts'
import {
  buildRequestHeaders,
  compileHeaderPolicy,
  type HeaderExchange,
  type HeaderPolicyOptions,
} from '../../src/proxy/request-headers.ts'
import { upstreamOptions } from '../../src/proxy/route-options.ts'
import { openUpgrade, type UpgradeConnection } from '../../src/proxy/upgrade-connection.ts'
import { isWebSocketRequest } from '../../src/proxy/upgrade-request.ts'
import { createUpstream, type Upstream } from '../../src/proxy/upstream.ts'
import { type Listening, listen } from '../harness/listen.ts'

export interface ProxyServer extends Listening {
  readonly upstream: Upstream
  readonly forwarder: Forwarder
  /** What each request came to, oldest first: the upstream's status, or the error. */
  readonly results: readonly (Forwarded | GatewayError)[]
}

export interface ProxyServerOptions {
  /** As the configuration writes it. */
  readonly upstream: unknown
  /** What sends requests of either kind; by default what sends them in a gateway. */
  readonly engine?: Engine | Promise<Engine>
  readonly clock?: Clock
  readonly policy?: Partial<HeaderPolicyOptions>
  readonly exchange?: Partial<HeaderExchange>
  readonly forward?: Partial<Pick<ForwardRequest, 'bodyIdle' | 'bodyLimit' | 'reauthorize'>>
  readonly bodyBudget?: BodyBudget
}

/** A server that reads the framing, builds the headers and forwards, as the gateway does, and nothing else. */
export async function startProxyServer(options: ProxyServerOptions): Promise<ProxyServer> {
  const { clock = systemClock } = options
  const upstream = createUpstream(upstreamOptions.parse(options.upstream))
  const policy = compileHeaderPolicy({
    reservedHeaders: [],
    identityHeaders: {},
    viaName: 'scopegate-test',
    ...(upstream.ownHost && { upstreamHost: upstream.hostHeader }),
    ...options.policy,
  })
  const { engine } = options
  const forwarder = createForwarder({
    clock,
    ...(engine && { engines: { requests: async () => engine, upgrades: async () => engine } }),
    ...(options.bodyBudget && { bodyBudget: options.bodyBudget }),
  })
  const results: (Forwarded | GatewayError)[] = []
  async function handle(request: IncomingMessage, response: ServerResponse, connection?: UpgradeConnection) {
    try {
      await connection?.turn()
      requireSingleHeaders(request.rawHeaders)
      const framing = readFraming(request)
      const headers = buildRequestHeaders(policy, {
        rawHeaders: request.rawHeaders,
        httpVersion: request.httpVersion,
        peerAddress: request.socket.remoteAddress ?? '',
        trustedPeer: false,
        encrypted: false,
        host: request.headers.host ?? '',
        ...options.exchange,
      })
      const path = upstream.rewrite(request.url ?? '')
      const sendContinue = readExpectContinue(request)
      const result = await forwarder.forward({
        ...{ request, response, upstream, path, headers, framing, sendContinue },
        ...{ bodyIdle: 60_000, ...options.forward, upgrade: connection && { connection } },
      })
      results.push(result)
    } catch (thrown) {
      const error = toGatewayError(thrown)
      if (response.headersSent && !response.destroyed) throw new Error('half an answer was left open')
      results.push(error)
      answerError(request, response, error, { realm: 'test', requestId: randomUUID() })
    }
  }
  const server = createServer({ requireHostHeader: false, shouldUpgradeCallback: isWebSocketRequest })
  server.on('request', handle)
  server.on('upgrade', (request, socket: Socket, head) => {
    const connection = openUpgrade({ request, socket, head, earlier: [] })
    handle(request, connection.response, connection)
  })
  server.on('checkContinue', (request, response) => server.emit('request', request, response))
  server.on('checkExpectation', (request, response) => server.emit('request', request, response))
  const listening = await listen(server)
  return {
    ...listening,
    upstream,
    forwarder,
    results,
    async stop() {
      upstream.close()
      await listening.stop()
    },
  }
}

/** Waits until something holds, which happens without a sign of it; rejects after two seconds. */
export async function until(holds: () => boolean): Promise<void> {
  const end = performance.now() + 2000
  while (!holds()) {
    if (performance.now() > end) throw new Error('it did not come to hold')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
