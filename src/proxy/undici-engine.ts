import { channel } from 'node:diagnostics_channel'
import type { Dispatcher } from 'undici'
import { invalidAnswer } from './answer-head.ts'
import type { Attempt } from './attempt.ts'
import { createGivingBackShared } from './body-memory.ts'
import type { Engine } from './engine.ts'
import type { ForwardRequest } from './exchange.ts'
import { nodeEngine, rawHeaders } from './node-engine.ts'
import { isClosedConnection } from './proxy-error.ts'
import type { Upstream } from './upstream.ts'
import type { AnswerReader, UpstreamAnswer } from './upstream-answer.ts'
import { clientsOf } from './upstream-clients.ts'

/** undici for a GET without a body, at two thirds of what Node's own client takes for it; that one for all others. */
export const undiciEngine: Engine = {
  name: 'undici',
  start(attempt) {
    const { exchange } = attempt
    return isPlain(exchange) && !saysContinue.has(exchange.upstream) ? send(attempt) : nodeEngine.start(attempt)
  },
}

/** Those that have sent 100 Continue without being asked. They may, but undici takes it for a fault. */
const saysContinue = new WeakSet<Upstream>()

function isPlain({ request, framing, upgrade }: ForwardRequest): boolean {
  return request.method === 'GET' && framing.kind === 'none' && !upgrade
}

/** Who watches all requests of the process may keep their bodies. */
const received = channel('undici:request:bodyChunkReceived')

/** Made once: to note where an error was made takes longer than all else about it. */
const nobody = new Error('nobody waits for it')

function send(attempt: Attempt): (isWhole: boolean) => void {
  const { exchange, connections } = attempt
  const connection = clientsOf(connections).take(exchange.upstream.target)
  const { client, line } = connection
  const givingBack = createGivingBackShared()
  let controller: Dispatcher.DispatchController | undefined
  let reader: AnswerReader | undefined
  let isReused = false
  let isAnswered = false
  let isOver = false

  function onAnswer(statusCode: number, headers: readonly Buffer[]): void {
    isAnswered = true
    const answer: UpstreamAnswer = {
      statusCode,
      statusMessage: line.reason,
      httpVersion: line.httpVersion,
      rawHeaders: headers.map(textOf),
      read(wanted) {
        reader = wanted
      },
      pause: () => controller?.pause(),
      resume: () => controller?.resume(),
      destroy: () => controller?.abort(nobody),
    }
    attempt.onAnswer(answer)
  }

  function onFault(fault: Error): void {
    if (line.met100) saysContinue.add(exchange.upstream)
    attempt.onError(fault, line.met100 || (isReused && line.isEmpty && isClosedConnection(fault)))
  }

  client.dispatch(
    { method: 'GET', path: exchange.path, headers: rawHeaders(exchange.headers, 'GET', exchange.framing) },
    {
      onRequestStart(started) {
        controller = started
        if (attempt.isOver()) {
          started.abort(nobody)
          return
        }
        isReused = connection.begin()
        line.expect()
        attempt.onSent()
      },
      onResponseStart({ rawHeaders: headers }, statusCode) {
        if (statusCode <= 100 || statusCode >= 200 || statusCode === 101) onAnswer(statusCode, headers as Buffer[])
      },
      onResponseData(_, chunk) {
        const onWritten = givingBack(chunk as Buffer, line.piece)
        reader?.onData(chunk as Buffer, received.hasSubscribers ? undefined : onWritten)
      },
      onResponseEnd() {
        isOver = true
        reader?.onEnd()
        connection.release()
      },
      onResponseError(_, error) {
        isOver = true
        connection.close()
        if (isAnswered) reader?.onBroken()
        else onFault(faultOf(error))
      },
    },
  )
  return (isWhole) => {
    if (isWhole || isOver) return
    if (controller) controller.abort(nobody)
    else connection.close()
  }
}

/** undici leaves the blanks behind a value, which belong to none. */
function textOf(bytes: Buffer): string {
  const text = bytes.toString('latin1')
  return text.endsWith(' ') || text.endsWith('\t') ? text.replace(/[ \t]+$/, '') : text
}

const codes = new Map([
  ['UND_ERR_SOCKET', 'ECONNRESET'],
  ['UND_ERR_HEADERS_OVERFLOW', 'HPE_HEADER_OVERFLOW'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'HPE_UNEXPECTED_CONTENT_LENGTH'],
  ['UND_ERR_INVALID_ARG', 'ERR_INVALID_ARG_VALUE'],
])

/** As Node's client tells it. @see https://github.com/nodejs/undici/blob/main/docs/docs/api/Errors.md */
function faultOf(error: Error & { readonly code?: string }): Error {
  const { code, message } = error
  if (code === 'UND_ERR_SOCKET' && message === 'bad upgrade') return invalidAnswer('an uninvited 101')
  if (code === 'UND_ERR_SOCKET' && message === 'bad response') return invalidAnswer('one that nobody waited for')
  const same = error.name === 'HTTPParserError' ? 'HPE_INVALID' : codes.get(code ?? '')
  return same === undefined ? error : Object.assign(new Error(message), { code: same })
}
