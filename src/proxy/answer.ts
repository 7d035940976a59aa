import { OutgoingMessage } from 'node:http'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { AnswerHead } from './answer-head.ts'
import type { OnWritten } from './body-memory.ts'
import type { ForwardRequest } from './exchange.ts'
import { flushHead } from './flush-head.ts'
import type { SilenceWatch } from './silence.ts'
import { atTurnEnd } from './turn-end.ts'
import type { UpstreamAnswer } from './upstream-answer.ts'

export interface AnswerSending {
  readonly exchange: ForwardRequest
  readonly answer: UpstreamAnswer
  readonly head: AnswerHead
  readonly watch: SilenceWatch
  fail(error: GatewayError): void
}

/**
 * Sends an upstream's answer to the caller, as fast as the caller takes it. Node frames it: with the length that it came
 * with, or chunked, or by closing for a caller of HTTP/1.0. Gives back the function that stops it.
 */
export function sendAnswer({ exchange, answer, head, watch, fail }: AnswerSending): () => void {
  const { response, upstream } = exchange
  const { idle } = upstream.timeouts
  let left = head.length ?? Number.POSITIVE_INFINITY
  /** The turn of the event loop in which the answer came, what came of its body meanwhile, and whether that is all. */
  let isFirstTurn = true
  let first: Piece | undefined
  let isWhole = false
  let stopped = false
  /** True unless somebody around the gateway takes the pieces first, to compress them, say. */
  const isOurs = response.write === OutgoingMessage.prototype.write

  const upstreamIsSilent = () => fail(new GatewayError('upstream_timeout', { reason: 'silence within the answer' }))
  const callerIsSilent = () =>
    fail(new GatewayError('caller_gone', { reason: 'the caller takes no more of the answer' }))

  function onData(chunk: Buffer, onWritten: OnWritten | undefined): void {
    if (stopped) return
    left -= chunk.length
    if (isFirstTurn && !first) {
      first = { chunk, onWritten }
      return
    }
    endFirstTurn()
    if (left === 0) end(chunk)
    else pass({ chunk, onWritten })
  }
  function pass({ chunk, onWritten }: Piece): void {
    if (response.write(chunk, isOurs ? onWritten : undefined)) {
      watch.expect(idle, upstreamIsSilent)
    } else {
      answer.pause()
      watch.expect(idle, callerIsSilent)
      response.once('drain', onDrain)
    }
  }
  function onDrain(): void {
    if (stopped) return
    watch.expect(idle, upstreamIsSilent)
    answer.resume()
  }
  /** The last piece goes out in one with the end, and where the answer is short, with its head too. */
  function end(last?: Buffer): void {
    watch.expect(idle, callerIsSilent)
    response.end(last)
  }
  function onEnd(): void {
    if (isFirstTurn) isWhole = true
    else if (!stopped && !response.writableEnded) end()
  }
  function onBroken(): void {
    // Ending the answer here would make a whole one of the half.
    fail(new GatewayError('upstream_unreachable', { reason: 'the answer broke off' }))
  }
  function endFirstTurn(): void {
    if (!isFirstTurn || stopped) return
    isFirstTurn = false
    if (isWhole) end(first?.chunk)
    else if (first) pass(first)
    // An event stream has its head at once.
    else if (head.hasBody) flushHead(response)
  }

  response.writeHead(head.status, head.reason, head.rawHeaders)
  atTurnEnd(() => {
    try {
      endFirstTurn()
    } catch (cause) {
      // Whoever wraps the response in an application may throw here, and others wait for their turn.
      fail(new GatewayError('internal_error', { cause }))
    }
  })
  watch.expect(idle, upstreamIsSilent)
  answer.read({ onData, onEnd, onBroken })
  return () => {
    stopped = true
  }
}

interface Piece {
  readonly chunk: Buffer
  readonly onWritten: OnWritten | undefined
}

const mostDropped = 64 * 1024
const dropMilliseconds = 2000

/** Reads an answer that goes to nobody to its end, so that its connection can be kept; one that is long is cut off. */
export function dropAnswer(answer: UpstreamAnswer, clock: Clock): void {
  const cancel = clock.setTimeout(() => answer.destroy(), dropMilliseconds)
  let dropped = 0
  answer.read({
    onData(chunk) {
      dropped += chunk.length
      if (dropped > mostDropped) answer.destroy()
    },
    onEnd: cancel,
    onBroken: cancel,
  })
}
