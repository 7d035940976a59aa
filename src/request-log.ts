import type { Socket } from 'node:net'
import type { ErrorCode, GatewayError } from './base/errors.ts'
import { errorFrames, errorTrail, type Log } from './base/log.ts'

/** What became of one request, as far as it is known. */
export interface Outcome {
  code: ErrorCode | 'ok'
  error?: GatewayError
  route?: string
  /** The address that the request came from. */
  address?: string
  /** The client that the caller's token was issued to. */
  callerId?: string | undefined
  /** The configured client whose token went to the upstream. */
  client?: string
  tokenSource?: 'memory' | 'redis' | 'fetched'
  /** The upstream refused the token, and another one was to be had. */
  replaced?: true
  upstreamStatus?: number
}

export interface LoggedRequest {
  readonly requestId: string
  readonly listener: string
  readonly method: string | undefined
  /** The request target; its query is never logged. */
  readonly target: string | undefined
  readonly startedAt: number
  readonly outcome: Outcome
}

/** Writes the one line that each request has. */
export function logRequest(log: Log, request: LoggedRequest): void {
  const { outcome } = request
  const { error } = outcome
  const line = {
    request_id: request.requestId,
    listener: request.listener,
    route: outcome.route,
    method: request.method,
    path: loggedPath(request.target),
    status: error ? error.status : outcome.upstreamStatus,
    code: outcome.code,
    reason: error?.options.reason,
    cause: error?.cause === undefined ? undefined : errorTrail(error.cause),
    frames: error?.code === 'internal_error' ? errorFrames(error.cause) : undefined,
    address: outcome.address,
    caller: outcome.callerId,
    client: outcome.client,
    token: outcome.tokenSource,
    replaced: outcome.replaced,
    upstream_status: outcome.upstreamStatus,
    ms: Math.round((performance.now() - request.startedAt) * 10) / 10,
  }
  if (error?.code === 'internal_error') log.error(line, 'request')
  else if (error && error.status >= 500) log.warn(line, 'request')
  else log.info(line, 'request')
}

const longestPath = 2000

/** Only of a target that is a path: any other may hold a password. */
function loggedPath(target = ''): string | undefined {
  return target.startsWith('/') ? target.split('?', 1)[0]?.slice(0, longestPath) : undefined
}

/** The line for a connection that was refused before there was a request on it. */
export function logRefusal(log: Log, listener: string, error: GatewayError, socket: Socket): void {
  const { code, status, options } = error
  log.info({ listener, status, code, reason: options.reason, address: socket.remoteAddress }, 'refused')
}
