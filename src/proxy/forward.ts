import type { IncomingMessage, ServerResponse } from 'node:http'
import { createProxyMiddleware, type Plugin } from 'http-proxy-middleware'
import { type Clock, systemClock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { type Attempt, type AttemptResult, createAttempt } from './attempt.ts'
import type { ForwardRequest } from './exchange.ts'
import { hasBody } from './framing.ts'

export type { ForwardRequest } from './exchange.ts'

export interface Forwarder {
  /**
   * Sends an admitted request to its upstream, and the answer to the caller. Resolves once the answer is wholly sent.
   * Rejects with a GatewayError; then the response is either untouched, or, where the answer had begun, destroyed.
   */
  forward(exchange: ForwardRequest): Promise<{ readonly status: number }>
}

/** One forwarder for the process: the only place that knows http-proxy-middleware. */
export function createForwarder({ clock = systemClock }: { readonly clock?: Clock } = {}): Forwarder {
  const attempts = new WeakMap<object, Attempt>()
  const find = (view: object): Attempt => {
    const attempt = attempts.get(view)
    if (!attempt || attempt.isOver()) throw new Error('the request is over')
    return attempt
  }
  const listen: Plugin = (proxy) => {
    proxy.on('error', (error, view) => view && attempts.get(view)?.onError(error))
    proxy.on('econnreset', (error, view) => attempts.get(view)?.onError(error))
    proxy.on('proxyRes', (answer, view) => attempts.get(view)?.onAnswer(answer))
  }
  const proxy = createProxyMiddleware({
    ws: false,
    selfHandleResponse: true,
    // Its own plugins answer errors with the upstream's name.
    ejectPlugins: true,
    plugins: [listen],
    router: (view, _sink, options) => {
      const { exchange, agent } = find(view)
      options.agent = agent
      return { ...exchange.upstream.target, pathname: exchange.path }
    },
  })

  async function runAttempt(exchange: ForwardRequest, fresh: boolean): Promise<AttemptResult> {
    const { agent, freshAgent } = exchange.upstream
    const attempt = createAttempt(exchange, fresh ? freshAgent : agent, clock)
    attempts.set(attempt.view, attempt)
    const { view, sink } = attempt as unknown as { view: IncomingMessage; sink: ServerResponse }
    const called = proxy(view, sink, (error) =>
      attempt.onError(error ?? new Error('the proxy passed the request over')),
    )
    called.catch((error: unknown) => attempt.onError(error))
    return attempt.result
  }

  async function forward(exchange: ForwardRequest): Promise<{ readonly status: number }> {
    const { request, response } = exchange
    // Node reports a caller that breaks off here as well; the response's end is what is looked at.
    request.on('error', () => {})
    response.on('error', () => {})
    requireForwardable(exchange)
    let result = await runAttempt(exchange, false)
    if ('error' in result && result.staleConnection && isRepeatable(exchange)) result = await runAttempt(exchange, true)
    if ('error' in result && response.headersSent) response.destroy()
    if ('error' in result) throw result.error
    dropRest(exchange, clock)
    return result
  }

  return { forward }
}

/** What can be told before the upstream is asked. */
function requireForwardable({ request, response, framing, bodyLimit }: ForwardRequest): void {
  if (response.destroyed) throw new GatewayError('caller_gone')
  if (framing.kind === 'length' && bodyLimit !== undefined && framing.length > bodyLimit)
    throw new GatewayError('body_too_large', { closeConnection: true })
  const taken = request.readableDidRead || request.readableEnded || request.readableEncoding !== null
  if (hasBody(framing) && taken)
    throw new GatewayError('body_already_read', {
      reason: 'mount the gateway before any body parser',
      closeConnection: true,
    })
}

/** A request that may be sent twice without doing its work twice. @see https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2 */
function isRepeatable({ request, framing, response }: ForwardRequest): boolean {
  return ['GET', 'HEAD', 'OPTIONS'].includes(request.method ?? '') && !hasBody(framing) && !response.destroyed
}

/** How long the rest of a body may take that the upstream did not wait for. */
const lingerMilliseconds = 2000

/**
 * The upstream answered before it had the whole body. The rest is read and dropped, so that the caller gets to read the
 * answer; a caller that goes on sending is cut off.
 */
function dropRest({ request, framing }: ForwardRequest, clock: Clock): void {
  if (!hasBody(framing) || request.readableEnded) return
  const cancel = clock.setTimeout(() => request.socket.destroy(), lingerMilliseconds)
  request.once('close', cancel).once('end', cancel).resume()
}
