import { GatewayError } from '../base/errors.ts'

/** What went wrong between the gateway and the upstream before an answer came, as the caller is told it. */
export function proxyError(cause: unknown): GatewayError {
  const code = errorCode(cause)
  if (code.startsWith('HPE_')) return new GatewayError('upstream_invalid_response', { reason: code, cause })
  // Node refused to send what it was given: no fault of the upstream's.
  const ours = code.startsWith('ERR_INVALID_') || code.startsWith('ERR_HTTP_') || code === 'ERR_UNESCAPED_CHARACTERS'
  return new GatewayError(ours ? 'internal_error' : 'upstream_unreachable', { reason: code || String(cause), cause })
}

/** True if the connection was simply closed. */
export function isClosedConnection(cause: unknown): boolean {
  return ['ECONNRESET', 'EPIPE'].includes(errorCode(cause))
}

function errorCode(cause: unknown): string {
  return cause instanceof Error && 'code' in cause && typeof cause.code === 'string' ? cause.code : ''
}
