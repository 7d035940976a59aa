import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import { GatewayError } from './base/errors.ts'

/** What an answer to an error needs to know of the request, beside the error. */
export interface ErrorContext {
  /** The protection space of `WWW-Authenticate`. */
  readonly realm: string
  readonly requestId?: string
}

/** Anything thrown, as one of the errors that the gateway knows. What nobody foresaw is `internal_error`. */
export function toGatewayError(error: unknown): GatewayError {
  return error instanceof GatewayError ? error : new GatewayError('internal_error', { cause: error })
}

/** A body up to this size is read to its end behind an error, to keep the connection; a longer one closes it. */
const drainedBody = 64 * 1024
const lingerMilliseconds = 1000

/**
 * Answers an error as `application/problem+json`. Where the answer has already begun, or nobody is there to read it,
 * the connection is closed instead.
 * @see https://www.rfc-editor.org/rfc/rfc9457
 */
export function answerError(
  request: IncomingMessage,
  response: ServerResponse,
  error: GatewayError,
  context: ErrorContext,
): void {
  if (response.headersSent || error.code === 'caller_gone') {
    response.destroy()
    return
  }
  const body = problem(error, context)
  for (const [name, value] of problemHeaders(error, body, context)) response.setHeader(name, value)
  const unread = !request.complete
  if (error.options.closeConnection || (unread && !(Number(request.headers['content-length']) <= drainedBody))) {
    response.setHeader('connection', 'close')
  }
  response.writeHead(error.status)
  if (!unread) {
    response.end(body)
    return
  }
  response.write(body)
  // To HEAD Node sends no body, and without one the headers would wait.
  response.flushHeaders()
  endAfterBody(request, response)
}

/** Answers of the gateway's own that are out, while the rest of the request is still read. */
const lingering = new WeakSet<ServerResponse>()

/** True for a response that holds a whole error answer and waits for the end of the request alone. */
export function isLingering(response: ServerResponse): boolean {
  return lingering.has(response)
}

/**
 * The answer is out, and the body is still coming in: closing now would reset the connection, and the caller might never
 * see the answer. So the rest is read and dropped, for a moment.
 */
function endAfterBody(request: IncomingMessage, response: ServerResponse): void {
  lingering.add(response)
  const timer = setTimeout(() => {
    response.end()
    request.socket.destroySoon()
  }, lingerMilliseconds)
  timer.unref()
  request.once('close', () => clearTimeout(timer))
  request.once('end', () => {
    clearTimeout(timer)
    response.end()
  })
  request.resume()
}

/** The same answer for a connection on which no request could be read. */
export function writeErrorToSocket(socket: Socket, error: GatewayError, context: ErrorContext): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const body = problem(error, context)
  const head = [...problemHeaders(error, body, context), ['connection', 'close']].map(
    ([name, value]) => `${name}: ${value}\r\n`,
  )
  socket.end(`HTTP/1.1 ${error.status} ${STATUS_CODES[error.status]}\r\n${head.join('')}\r\n${body}`)
  const timer = setTimeout(() => socket.destroy(), lingerMilliseconds)
  timer.unref()
  socket.once('close', () => clearTimeout(timer))
}

function problem(error: GatewayError, context: ErrorContext): string {
  const { status, code, sentence } = error
  return JSON.stringify({ title: STATUS_CODES[status], status, code, detail: sentence, request_id: context.requestId })
}

function problemHeaders(error: GatewayError, body: string, context: ErrorContext): [string, string][] {
  const { allow, retryAfterSeconds } = error.options
  const challenge = challengeHeader(error, context.realm)
  const headers: [string, string | undefined][] = [
    ['content-type', 'application/problem+json'],
    ['content-length', String(Buffer.byteLength(body))],
    ['cache-control', 'no-store'],
    ['www-authenticate', challenge],
    ['allow', allow?.join(', ')],
    ['retry-after', retryAfterSeconds === undefined ? undefined : String(Math.max(1, Math.ceil(retryAfterSeconds)))],
  ]
  return headers.filter((header): header is [string, string] => header[1] !== undefined)
}

/** @see https://www.rfc-editor.org/rfc/rfc6750#section-3 */
function challengeHeader(error: GatewayError, realm: string): string | undefined {
  const { challenge } = error.options
  if (!challenge) return undefined
  const parameters = [`realm="${realm}"`]
  if (challenge.error) parameters.push(`error="${challenge.error}"`, `error_description="${error.sentence}"`)
  if (challenge.scope) parameters.push(`scope="${challenge.scope.join(' ')}"`)
  return `Bearer ${parameters.join(', ')}`
}
