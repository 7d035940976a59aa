import type { Socket } from 'node:net'
import type { ErrorCode, GatewayError } from './base/errors.ts'
import { errorFrames, errorTrail, type LineLog, type Log } from './base/log.ts'

/** What became of one request, as far as it is known. */
export interface Outcome {
  code: ErrorCode | 'ok'
  error?: GatewayError
  route?: string
  /** Of a request to a forward proxy: the host that its URL names, and the path in it. */
  host?: string
  path?: string
  /** A request of a browser's own, which asks what a page may ask for. */
  preflight?: true
  /** The address that the request came from. */
  address?: string
  /** The name by which the caller's certificate is listed. */
  certificate?: string | undefined
  /** The client that the caller's token was issued to. */
  callerId?: string | undefined
  /** The scopes of the caller's token. */
  scopes?: readonly string[]
  /** On a route in report mode. */
  report?: Report
  /** The configured client whose token went to the upstream. */
  client?: string
  tokenSource?: 'memory' | 'redis' | 'fetched'
  /** The upstream refused the token, and another one was to be had. */
  replaced?: true
  upstreamStatus?: number
}

/** What a route in report mode found out about a request that it let in. */
export interface Report {
  /** The scopes that the route requires. */
  readonly required: {
    readonly scopes?: readonly string[] | undefined
    readonly any_scope?: readonly string[] | undefined
  }
  /** True once it is known whether it would have been let in. */
  judged?: true
  /** With what it would have been refused, had the route enforced. */
  refusal?: GatewayError
}

/** Keeps the first refusal: the answer that the caller would have got. */
export function noteRefusal(report: Report): (refusal: GatewayError) => void {
  return (refusal) => {
    report.refusal ??= refusal
  }
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

/** The status that the caller was answered with. */
export function statusOf({ error, upstreamStatus }: Outcome): number | undefined {
  return error ? error.status : upstreamStatus
}

/** Writes the one line that each request has. */
export function logRequest(log: LineLog, request: LoggedRequest): void {
  const { outcome } = request
  const { error } = outcome
  const line = {
    request_id: request.requestId,
    listener: request.listener,
    route: outcome.route,
    method: request.method,
    host: outcome.host,
    path: loggedPath(outcome.path ?? request.target),
    preflight: outcome.preflight,
    status: statusOf(outcome),
    code: outcome.code,
    reason: told(error?.options.reason),
    cause: error?.cause === undefined ? undefined : errorTrail(error.cause),
    frames: error?.code === 'internal_error' ? errorFrames(error.cause) : undefined,
    address: outcome.address,
    certificate: outcome.certificate,
    caller: outcome.callerId,
    client: outcome.client,
    token: outcome.tokenSource,
    replaced: outcome.replaced,
    upstream_status: outcome.upstreamStatus ?? error?.options.upstream?.status,
    upstream_error: error?.options.upstream?.error,
    ms: Math.round((performance.now() - request.startedAt) * 10) / 10,
  }
  if (outcome.report) Object.assign(line, reportLine(outcome.report, outcome.scopes))
  const level = error?.code === 'internal_error' ? 'error' : error && error.status >= 500 ? 'warn' : 'info'
  log(level, line, 'request')
}

/** Writes the second line of a request whose connection was upgraded, once that has ended. */
export function logUpgradeEnd(
  log: Log,
  { requestId, listener, startedAt, outcome }: Pick<LoggedRequest, 'requestId' | 'listener' | 'startedAt' | 'outcome'>,
  end: { readonly reason: string; readonly bytesIn: number; readonly bytesOut: number },
): void {
  const line = {
    request_id: requestId,
    listener,
    route: outcome.route,
    reason: end.reason,
    bytes_in: end.bytesIn,
    bytes_out: end.bytesOut,
    caller: outcome.callerId,
    ms: Math.round(performance.now() - startedAt),
  }
  log.info(line, 'upgrade ended')
}

function wouldBe({ status, code, options, cause }: GatewayError) {
  return { status, code, reason: told(options.reason), cause: cause === undefined ? undefined : errorTrail(cause) }
}

/** What a route in report mode says beside the rest, which `scopegate report` sums up. */
function reportLine({ required, refusal, judged }: Report, scopes: readonly string[] | undefined) {
  return {
    mode: 'report',
    would_be: refusal ? wouldBe(refusal) : judged && null,
    scopes,
    required_scopes: required.scopes,
    required_any_scope: required.any_scope,
  }
}

const longestPath = 2000

/** A JWT, signed or encrypted: its header, and parts behind it. */
const jwt = /eyJ[\w-]{4,}(?:\.[\w-]*){1,4}/g

/** A token that somebody wrote where none belongs stays out of the log. */
function told(text: string | undefined): string | undefined {
  return text?.replace(jwt, '[token]')
}

/** Only of a target that is a path: any other may hold a password. */
function loggedPath(target = ''): string | undefined {
  if (!target.startsWith('/')) return undefined
  const path = target.split('?', 1)[0]?.slice(0, longestPath) ?? ''
  return path.includes('%') ? path.split('/').map(loggedSegment).join('/') : told(path)
}

function loggedSegment(segment: string): string | undefined {
  const decoded = segment.replace(/%([0-7][0-9a-f])/gi, (_, code: string) =>
    String.fromCharCode(Number.parseInt(code, 16)),
  )
  return told(decoded) === decoded ? segment : told(decoded)
}

/** The line for a connection that was refused before there was a request on it. */
export function logRefusal(log: Log, listener: string, error: GatewayError, socket: Socket): void {
  const { code, status, options } = error
  log.info({ listener, status, code, reason: options.reason, address: socket.remoteAddress }, 'refused')
}
