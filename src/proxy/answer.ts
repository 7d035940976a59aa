import { ServerResponse } from 'node:http'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { AnswerHead } from './answer-head.ts'
import type { OnWritten } from './body-memory.ts'
import type { ForwardRequest } from './exchange.ts'
import { flushHead } from './flush-head.ts'
import type { SilenceWatch } from './silence.ts'
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
  let stopped = false
  /** True unless somebody around the gateway takes the pieces first, to compress them, say. */
  const isOurs = response.write === ServerResponse.prototype.write

  const upstreamIsSilent = () => fail(new GatewayError('upstream_timeout', { reason: 'silence within the answer' }))
  const callerIsSilent = () =>
    fail(new GatewayError('caller_gone', { reason: 'the caller takes no more of the answer' }))

  function onData(chunk: Buffer, onWritten: OnWritten | undefined): void {
    if (stopped) return
    clearImmediate(flush)
    left -= chunk.length
    if (left === 0) {
      end(chunk)
    } else if (response.write(chunk, isOurs ? onWritten : undefined)) {
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
    clearImmediate(flush)
    if (!stopped && !response.writableEnded) end()
  }
  function onBroken(): void {
    // Ending the answer here would make a whole one of the half.
    fail(new GatewayError('upstream_unreachable', { reason: 'the answer broke off' }))
  }

  response.writeHead(head.status, head.reason, head.rawHeaders)
  // An event stream has its head at once; an answer whose body is here already goes out in one piece with it.
  const flush = setImmediate(() => head.hasBody && flushHead(response))
  watch.expect(idle, upstreamIsSilent)
  answer.read({ onData, onEnd, onBroken })
  return () => {
    stopped = true
    clearImmediate(flush)
  }
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
