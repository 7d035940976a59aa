import { type Clock, systemClock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { type AttemptResult, startAttempt } from './attempt.ts'
import type { Engine } from './engine.ts'
import type { Forwarded, ForwardRequest, OutgoingHead } from './exchange.ts'
import { hasBody } from './framing.ts'
import { type BodyBudget, keepableLength, processBodyBudget, readBody } from './kept-body.ts'
import { upgradeHeaders } from './upgrade-request.ts'
import type { UpstreamAgent } from './upstream-agent.ts'

export type { ForwardRequest } from './exchange.ts'

export interface Forwarder {
  /**
   * Sends an admitted request to its upstream, and the answer to the caller. Resolves once the answer is wholly sent, or
   * the connection upgraded.
   * Rejects with a GatewayError; then the response is either untouched, or, where the answer had begun, destroyed.
   */
  forward(exchange: ForwardRequest): Promise<Forwarded>
  /** Loads what only WebSockets need, so that the first of them does not wait for it. */
  prepareUpgrades(): Promise<void>
}

export interface ForwarderOptions {
  readonly clock?: Clock
  readonly bodyBudget?: BodyBudget
  /** What sends requests, and what sends those for WebSockets. */
  readonly engines?: { requests(): Promise<Engine>; upgrades(): Promise<Engine> }
}

/** Commands that forward nothing do without it. */
async function loadUndiciEngine(): Promise<Engine> {
  const { undiciEngine } = await import('./undici-engine.ts')
  return undiciEngine
}

/** It takes long to load, and many gateways never see a WebSocket. */
async function loadMiddlewareEngine(): Promise<Engine> {
  const { createMiddlewareEngine } = await import('./middleware-engine.ts')
  return createMiddlewareEngine()
}

/** One forwarder for the process. */
export function createForwarder({
  clock = systemClock,
  bodyBudget = processBodyBudget,
  engines = { requests: loadUndiciEngine, upgrades: loadMiddlewareEngine },
}: ForwarderOptions = {}): Forwarder {
  let requestEngine: Engine | undefined
  const loadingRequestEngine = engines.requests().then((engine) => {
    requestEngine = engine
    return engine
  })
  // Each request that waits for it is told.
  loadingRequestEngine.catch(() => {})
  let loading: Promise<Engine> | undefined
  const upgradeEngine = () => {
    loading ??= engines.upgrades()
    return loading
  }

  function runAttempt(exchange: ForwardRequest, connections: UpstreamAgent, engine: Engine): Promise<AttemptResult> {
    return new Promise((resolve) => startAttempt({ exchange, connections, engine, clock, onOver: resolve }))
  }

  /** Sent once, or again where the kept connection turns out to be closed. */
  async function send(exchange: ForwardRequest): Promise<AttemptResult> {
    const { kept, fresh } = exchange.upstream
    // What becomes a WebSocket is never a connection for the next request.
    if (exchange.upgrade) {
      const headers = { ...exchange.headers, ...upgradeHeaders }
      const engine = await upgradeEngine()
      if (exchange.response.destroyed) return { error: new GatewayError('caller_gone') }
      return runAttempt({ ...exchange, headers }, fresh, engine)
    }
    const engine = requestEngine ?? (await loadingRequestEngine)
    if (exchange.response.destroyed) return { error: new GatewayError('caller_gone') }
    const result = await runAttempt(exchange, kept, engine)
    const again = 'error' in result && result.remedy === 'connection' && isRepeatable(exchange)
    return again ? runAttempt(exchange, fresh, engine) : result
  }

  /** Sent, and once more with another token where the upstream refuses the first. That is asked for in any case. */
  async function sendAuthorized(exchange: ForwardRequest): Promise<AttemptResult> {
    const result = await send(exchange)
    if (!('error' in result) || result.remedy !== 'token') return result
    const head = await headWithSuccessor(exchange, result.error)
    if (exchange.response.destroyed) return { error: new GatewayError('caller_gone') }
    const obstacle = obstacleToSecond(exchange)
    if (obstacle !== undefined) return { error: because(result.error, obstacle) }
    const second = await send({ ...exchange, ...head })
    if (!('error' in second) || second.remedy !== 'token') return second
    return { error: because(second.error, 'it refused the new token too') }
  }

  async function forward(exchange: ForwardRequest): Promise<Forwarded> {
    const { request, response } = exchange
    // Node reports a caller that breaks off here as well; the response's end is what is looked at.
    request.on('error', () => {})
    response.on('error', () => {})
    requireForwardable(exchange)
    const length = keepableLength(exchange)
    const release = length === undefined ? undefined : bodyBudget.take(length)
    try {
      // Without a share of the budget the body streams, and the request is sent once.
      const keptBody = length !== undefined && release && (await readBody(exchange, length, clock))
      // A caller that sends its body drop by drop must not keep the token from being renewed meanwhile.
      const head = keptBody && (await exchange.refresh?.())
      const sent = keptBody ? { ...exchange, ...head, keptBody } : exchange
      const result = await (exchange.reauthorize ? sendAuthorized(sent) : send(sent))
      if ('error' in result && response.headersSent) response.destroy()
      if ('error' in result) throw result.error
      dropRest(exchange, clock)
      return result
    } finally {
      release?.()
    }
  }

  return {
    forward,
    async prepareUpgrades() {
      await upgradeEngine()
    },
  }
}

/** What can be told before the upstream is asked. */
function requireForwardable({ request, response, framing, bodyLimit }: ForwardRequest): void {
  if (response.destroyed) throw new GatewayError('caller_gone')
  if (framing.kind === 'length' && bodyLimit !== undefined && framing.length > bodyLimit)
    throw new GatewayError('body_too_large', {
      reason: `${framing.length} bytes, where ${bodyLimit} are accepted`,
      closeConnection: true,
    })
  const taken = request.readableDidRead || request.readableEnded || request.readableEncoding !== null
  if (hasBody(framing) && taken)
    throw new GatewayError('body_already_read', {
      reason: 'mount the gateway before any body parser',
      closeConnection: true,
    })
}

/** The upstream's word is the cause of the trouble, also where the authorization server has no other token to give. */
async function headWithSuccessor({ reauthorize }: ForwardRequest, refusal: GatewayError): Promise<OutgoingHead> {
  const none = 'there is no other token to be had'
  try {
    const head = await reauthorize?.()
    if (head) return head
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code === 'caller_gone') throw error
    if (error.code === refusal.code) throw because(refusal, error.options.reason ?? none)
    throw because(refusal, none, error)
  }
  throw because(refusal, none)
}

/** The refusal, and why it was not overcome. */
function because({ code, options }: GatewayError, reason: string, cause?: unknown): GatewayError {
  return new GatewayError(code, { ...options, reason, ...(cause !== undefined && { cause }) })
}

/**
 * Why a request is not sent again. One that was refused has done nothing, whatever its method; what counts is that its
 * body is still there. An upgrade is never sent twice.
 */
function obstacleToSecond({ framing, keptBody, upgrade, upstream }: ForwardRequest): string | undefined {
  if (upgrade) return 'a request for a WebSocket is not sent again'
  if (keptBody !== undefined || !hasBody(framing)) return undefined
  if (framing.kind !== 'length') return 'its body is of unknown length, and was not kept to be sent again'
  if (framing.length > upstream.replayBody)
    return `its body of ${framing.length} bytes is larger than replay_body, and was not kept to be sent again`
  return 'there was no room left to keep its body, to be sent again'
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
