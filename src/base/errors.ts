/**
 * Every way in which the gateway itself answers a request: a stable code, its HTTP status, and a plain sentence.
 * The table in the README is made from this one.
 */
export const errorCodes = {
  malformed_request: [400, 'The request is not well-formed HTTP.'],
  invalid_target: [400, 'The request target is malformed, or has a part that is never accepted.'],
  ambiguous_target: [
    400,
    'The request target can be read in more than one way, and the readings are not open to the same callers.',
  ],
  invalid_framing: [400, 'The length of the request body is stated in a conflicting or unsupported way.'],
  duplicate_header: [400, 'A header that may stand only once stands more than once.'],
  invalid_host: [400, 'The Host header is missing or malformed.'],
  invalid_upgrade: [400, 'The request to upgrade the connection is not that for a WebSocket.'],
  invalid_request: [400, 'The access token was sent in more than one way.'],
  token_required: [401, 'An access token is required: Authorization: Bearer.'],
  invalid_token: [401, 'The access token is malformed, expired, revoked, or not meant for this service.'],
  caller_not_allowed: [403, 'This route is not open to this caller.'],
  insufficient_scope: [403, 'The access token does not have the scope that this route requires.'],
  claim_required: [403, 'The access token lacks a claim that this route requires.'],
  no_route: [404, 'No route owns this path.'],
  method_not_allowed: [405, 'The path does not take this method.'],
  request_timeout: [408, 'The request took too long to arrive.'],
  body_too_large: [413, 'The request body is larger than this listener accepts.'],
  target_too_long: [414, 'The request target is longer than this listener accepts.'],
  expectation_failed: [417, 'The expectation in Expect is not supported.'],
  headers_too_large: [431, 'The request headers are larger, or more, than this listener accepts.'],
  caller_gone: [499, 'The caller went away before it was answered.'],
  internal_error: [500, 'Something went wrong in the gateway.'],
  body_already_read: [500, 'The request body was read before the gateway could forward it.'],
  method_not_implemented: [501, 'This method is not known.'],
  https_not_proxied: [
    501,
    'This proxy takes http URLs alone: ask for http:// where https:// was meant, and it goes on over TLS by itself; or name the host in no_proxy.',
  ],
  upgrade_not_supported: [501, 'Connection upgrades are not supported.'],
  upstream_unreachable: [502, 'The service behind this gateway cannot be reached.'],
  upstream_invalid_response: [502, 'The service behind this gateway gave an answer that cannot be passed on.'],
  upstream_refused_token: [502, "The service behind this gateway did not accept the gateway's access token."],
  authorization_server_refused: [502, 'The authorization server did not grant the gateway an access token.'],
  authorization_server_invalid_response: [502, 'The authorization server gave an answer that cannot be understood.'],
  keys_unavailable: [503, 'Access tokens cannot be checked at the moment.'],
  authorization_server_unavailable: [503, 'No access token can be obtained at the moment.'],
  stopping: [503, 'The gateway is stopping.'],
  too_many_connections: [503, 'The gateway has too many connections.'],
  upstream_timeout: [504, 'The service behind this gateway did not answer in time.'],
  loop_detected: [508, 'The request has passed through this gateway before.'],
} as const satisfies Record<string, readonly [status: number, sentence: string]>

export type ErrorCode = keyof typeof errorCodes

/** The codes that answer the question who may come in: what a route in report mode lets pass, and `report` sums up. */
const admissionCodes: readonly string[] = [
  'invalid_request',
  'token_required',
  'invalid_token',
  'caller_not_allowed',
  'insufficient_scope',
  'claim_required',
  'keys_unavailable',
] satisfies ErrorCode[]

export function isAdmissionCode(code: string): boolean {
  return admissionCodes.includes(code)
}

/** What stands in `WWW-Authenticate: Bearer` beside the realm. @see https://www.rfc-editor.org/rfc/rfc6750#section-3 */
export interface Challenge {
  readonly error?: 'invalid_request' | 'invalid_token' | 'insufficient_scope'
  readonly scope?: readonly string[]
}

export interface GatewayErrorOptions {
  /** For the log alone: what exactly was wrong. Never a token, a secret or a key. */
  readonly reason?: string
  readonly cause?: unknown
  readonly challenge?: Challenge
  /** For the log alone: what the upstream answered, and the `error` of its challenge. */
  readonly upstream?: { readonly status: number; readonly error?: string | undefined }
  /** Methods for the `Allow` header of a 405. */
  readonly allow?: readonly string[]
  readonly retryAfterSeconds?: number
  /** True where what follows on the connection cannot be trusted. */
  readonly closeConnection?: boolean
}

/**
 * A request that the gateway does not forward, or could not finish. Status and the caller's sentence follow from the
 * code; `reason` and `cause` go to the log alone.
 */
export class GatewayError extends Error {
  override readonly name = 'GatewayError'
  readonly code: ErrorCode
  readonly options: GatewayErrorOptions

  constructor(code: ErrorCode, options: GatewayErrorOptions = {}) {
    super(options.reason ?? errorCodes[code][1], 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.options = options
  }

  get status(): number {
    return errorCodes[this.code][0]
  }

  /** The plain sentence for the caller. */
  get sentence(): string {
    return errorCodes[this.code][1]
  }
}
