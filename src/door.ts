import { randomUUID } from 'node:crypto'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { ServerOptions } from 'node:https'
import { attachTo, isRefused, serverOptions } from './attach.ts'
import { GatewayError } from './base/errors.ts'
import type { Exchange } from './exchange.ts'
import type { Listener } from './listener.ts'
import { headerValues } from './proxy/header-names.ts'
import { openUpgrade, type UpgradeConnection } from './proxy/upgrade-connection.ts'
import { isWebSocketRequest } from './proxy/upgrade-request.ts'
import { logRefusal } from './request-log.ts'
import { readHost } from './routes/host.ts'
import { readRequestTarget } from './routes/request-target.ts'
import type { Parts } from './wiring.ts'

export interface AttachOptions {
  /**
   * Whether requests for WebSockets are taken. They come to the gateway at once, past any application around it: its
   * middlewares and the path that it mounts the gateway on. Default: only where the server calls `handler` itself.
   */
  readonly upgrades?: boolean
}

/** One listener's way in. */
export interface GatewayListener {
  /** Whether the listener has `tls`: then its server is one of `https.createServer`. */
  readonly encrypted: boolean
  /** Options for `http.createServer` or `https.createServer`: what Node takes only there. */
  readonly serverOptions: ServerOptions
  /** Answers every request. */
  handler(request: IncomingMessage, response: ServerResponse): void
  /** For an Express app: calls `next()` only when no pattern owns the path, and never after a refusal. */
  middleware(request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void
  /**
   * Sets the listener's limits on a server, takes over what Node would answer by itself, and keeps its certificate new.
   * @throws {TypeError} if a gateway is attached to the server already; if the listener has `tls`, and the server has none,
   *   or asks for client certificates otherwise
   */
  attach(server: Server, options?: AttachOptions): void
}

/**
 * The last response of each connection, until it is finished: answers go out in the order of the requests, and so they are
 * worked on. None may lead to the one before it, or all of a connection would be kept.
 */
const lastOn = new WeakMap<object, { response: ServerResponse | undefined }>()

/** Takes the place of the last one, which it gives back. */
function followLast(socket: object, response: ServerResponse): ServerResponse | undefined {
  const last = lastOn.get(socket)
  if (!last) {
    lastOn.set(socket, { response })
    return undefined
  }
  const { response: previous } = last
  last.response = response
  return previous
}

/** An idle connection holds nothing of its last request. */
function forgetFinished({ request, response }: Exchange): void {
  const last = lastOn.get(request.socket)
  if (last?.response === response && response.writableFinished) last.response = undefined
}

/**
 * Opens a listener's way in; `handle` takes each request on its way, and answers it in any case. It is given the response
 * before it on the same connection too, if that may not be finished yet.
 */
export function createDoor(
  listener: Listener,
  parts: Parts,
  handle: (exchange: Exchange, previous: ServerResponse | undefined) => Promise<void>,
): GatewayListener {
  const take = (
    request: IncomingMessage,
    response: ServerResponse,
    next?: (error?: unknown) => void,
    upgrade?: UpgradeConnection,
  ) => {
    if (isRefused(request) || listener.tls?.isOutdated(request.socket)) {
      request.socket.destroy()
      return
    }
    const previous = followLast(request.socket, response)
    const target = (next && (request as { originalUrl?: string }).originalUrl) ?? request.url ?? ''
    const exchange: Exchange = {
      request,
      response,
      target,
      listener,
      parts,
      requestId: randomUUID(),
      startedAt: performance.now(),
      outcome: { code: 'ok' },
      next,
      upgrade,
    }
    void onItsWay(exchange, previous)
  }
  const onItsWay = async (exchange: Exchange, previous: ServerResponse | undefined) => {
    parts.inFlight.begin()
    try {
      await handle(exchange, previous)
    } catch {
      // Only the answering or the logging of an error can fail here, and neither may end the process.
      parts.metrics.countInternalError()
      exchange.request.socket.destroy()
    } finally {
      parts.inFlight.end()
      forgetFinished(exchange)
    }
  }
  const handler = (request: IncomingMessage, response: ServerResponse) => take(request, response)
  return {
    encrypted: listener.tls !== undefined,
    serverOptions: { ...serverOptions(listener.options), ...listener.tls?.serverOptions },
    handler,
    middleware: (request, response, next) => take(request, response, next),
    attach: (server, { upgrades } = {}) =>
      attachTo(server, {
        options: listener.options,
        context: { realm: listener.realm },
        tls: listener.tls,
        refused: (error, socket) => {
          logRefusal(parts.log, listener.name, error, socket)
          parts.metrics.countRefusedConnection(listener.name, error.code)
        },
        upgrades: {
          // A guard that an application has put in front of the gateway would see nothing of them.
          areTaken: (request) =>
            (upgrades ?? server.listeners('request').includes(handler)) && isWebSocketRequest(request),
          areOurs: (request) => ownsPath(listener, request),
          take(taken) {
            const upgrade = openUpgrade(taken)
            parts.upgraded.add(taken.socket)
            taken.socket.once('close', () => parts.upgraded.delete(taken.socket))
            take(taken.request, upgrade.response, undefined, upgrade)
          },
        },
      }),
  }
}

/** True unless no pattern owns the request: what is faulty is refused here, and goes to nobody else. */
function ownsPath({ routes, options }: Listener, request: IncomingMessage): boolean {
  const { rawHeaders, method = '', url = '', httpVersion } = request
  try {
    const target = readRequestTarget(url, { targetLength: options.limits.target_length })
    routes.match({ target, host: readHost(headerValues(rawHeaders, 'host')[0], httpVersion), methods: [method] })
    return true
  } catch (error) {
    return !(error instanceof GatewayError && error.code === 'no_route')
  }
}
