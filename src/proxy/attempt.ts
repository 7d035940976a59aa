import type { ClientRequest, IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { dropAnswer, sendAnswer } from './answer.ts'
import { invalidAnswer, readAnswerHead } from './answer-head.ts'
import type { Engine } from './engine.ts'
import type { Forwarded, ForwardRequest } from './exchange.ts'
import { hasBody } from './framing.ts'
import { isClosedConnection, proxyError } from './proxy-error.ts'
import { readTokenRefusal } from './refused-token.ts'
import { sendBody, sendKeptBody, whenConnected } from './request-body.ts'
import { createSilenceWatch } from './silence.ts'
import { readUpgradeAnswer } from './upgrade-answer.ts'
import { startTunnel } from './upgrade-tunnel.ts'
import type { UpstreamAgent } from './upstream-agent.ts'
import type { UpstreamAnswer } from './upstream-answer.ts'

/** How an attempt ended. */
export type AttemptResult =
  | Forwarded
  | {
      readonly error: GatewayError
      readonly remedy?: Remedy
    }

/**
 * What would help: another connection, where the kept one had been closed before the request reached it; another token,
 * where the upstream refused the one that was sent.
 */
type Remedy = 'connection' | 'token'

/** One sending of a request to its upstream, as the engine knows it. One caller can be served by several. */
export interface Attempt {
  readonly exchange: ForwardRequest
  readonly connections: UpstreamAgent
  /** True once it is over. */
  isOver(): boolean
  /** There is a connection for the request, be it open or not yet. */
  onConnection(outgoing: ClientRequest): void
  /** Its head has been written, and there is no body: for engines that write it by themselves. */
  onSent(): void
  onAnswer(answer: UpstreamAnswer): void
  /** `helpsAnother`: another connection would help. Without it, the attempt finds out by itself. */
  onError(error: unknown, helpsAnother?: boolean): void
}

export interface AttemptOptions {
  readonly exchange: ForwardRequest
  readonly connections: UpstreamAgent
  readonly engine: Engine
  readonly clock: Clock
  onOver(result: AttemptResult): void
}

/** Begins an attempt, and tells once how it ended. */
export function startAttempt({ exchange, connections, engine, clock, onOver }: AttemptOptions): void {
  const { request, response, upstream, framing } = exchange
  const watch = createSilenceWatch(clock)
  const undo: (() => void)[] = []
  let over = false
  let end: ReturnType<Engine['start']> | undefined
  let proxyRequest: ClientRequest | undefined
  let bytesBefore = 0
  let answer: UpstreamAnswer | undefined

  function settle(result: AttemptResult): void {
    if (over) return
    over = true
    watch.stop()
    for (const each of undo) each()
    const answered = 'status' in result || result.remedy === 'token'
    end?.(answered && proxyRequest?.writableFinished !== false)
    onOver(result)
  }
  function fail(error: GatewayError, remedy?: Remedy): void {
    settle({ error, ...(remedy && { remedy }) })
  }
  function timeOut(reason: string): void {
    fail(new GatewayError('upstream_timeout', { reason }))
  }

  function onConnection(outgoing: ClientRequest): void {
    if (over) {
      outgoing.destroy()
      return
    }
    proxyRequest = outgoing
    bytesBefore = outgoing.socket?.bytesRead ?? 0
    outgoing.on('upgrade', (incoming, stream, head) => onUpgrade(incoming, stream as Socket, head))
    const sendsNow = outgoing.reusedSocket && !hasBody(framing)
    if (!sendsNow) outgoing.on('finish', awaitAnswer)
    if (hasBody(framing)) whenConnected(outgoing, () => startBody(outgoing))
    else outgoing.end()
    if (sendsNow) awaitAnswer()
  }
  function awaitAnswer(): void {
    if (!answer && !over) watch.expect(upstream.timeouts.response, () => timeOut('no answer'))
  }
  function startBody(outgoing: ClientRequest): void {
    if (over) return
    if (exchange.keptBody) {
      sendKeptBody({ exchange, proxyRequest: outgoing, watch, fail }, exchange.keptBody)
      return
    }
    // Once the answer has begun, either side may be silent while the other one moves.
    const bodyWatch = {
      ...watch,
      expect: (milliseconds: number, onSilence: () => void) =>
        answer ? watch.renew() : watch.expect(milliseconds, onSilence),
    }
    undo.push(sendBody({ exchange, proxyRequest: outgoing, watch: bodyWatch, fail }))
  }
  function onAnswer(incoming: UpstreamAnswer): void {
    if (over || answer) {
      incoming.destroy()
      return
    }
    answer = incoming
    try {
      const head = readAnswerHead(incoming, request.method ?? 'GET', exchange.relocate)
      const refusal = exchange.reauthorize && readTokenRefusal(incoming)
      if (refusal) {
        dropAnswer(incoming, clock)
        fail(new GatewayError('upstream_refused_token', { upstream: refusal }), 'token')
        return
      }
      response.on('finish', onFinish)
      undo.push(sendAnswer({ exchange, answer: incoming, head, watch, fail }))
    } catch (error) {
      fail(error instanceof GatewayError ? error : proxyError(error))
    }
  }
  function onUpgrade(incoming: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    try {
      if (over) throw new GatewayError('caller_gone')
      // One that nobody asked for: the connection would speak another protocol from here on.
      if (!exchange.upgrade) throw invalidAnswer('an uninvited 101')
      const { connection, endAt } = exchange.upgrade
      const early = connection.accept(readUpgradeAnswer(incoming, request.headers['sec-websocket-key'] ?? ''))
      const { idle } = upstream.timeouts
      const ended = startTunnel({ caller: connection.socket, upstream: socket, early, head, endAt, idle, clock })
      settle({ status: 101, ended })
    } catch (error) {
      socket.destroy()
      fail(error instanceof GatewayError ? error : proxyError(error))
    }
  }
  function onFinish(): void {
    settle({ status: response.statusCode })
  }
  function onError(cause: unknown, helpsAnother = isUntouched() && isClosedConnection(cause)): void {
    // Whether an answer that has begun is whole, it says itself: an upstream may well stop reading once it has answered.
    if (answer) return
    const error = cause instanceof GatewayError ? cause : proxyError(cause)
    fail(error, helpsAnother ? 'connection' : undefined)
  }
  function isUntouched(): boolean {
    return proxyRequest?.reusedSocket === true && proxyRequest.socket?.bytesRead === bytesBefore
  }
  function onGone(): void {
    // Every response is closed in the end, and an error made for each would cost more than all else here.
    if (!over) fail(new GatewayError('caller_gone'))
  }

  response.on('close', onGone)
  const { sendBefore = Number.POSITIVE_INFINITY } = exchange
  const patience = Math.min(upstream.timeouts.connect, sendBefore - clock.now())
  watch.expect(patience, () => timeOut('no connection'))
  end = engine.start({
    ...{ exchange, connections, isOver: () => over },
    ...{ onConnection, onSent: awaitAnswer, onAnswer, onError },
  })
  if (over) end(false)
}
