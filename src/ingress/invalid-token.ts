import { GatewayError } from '../base/errors.ts'

/**
 * A token that is not accepted. The caller learns no more than that; `reason` goes to the log, and must not hold any
 * part of the token.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3.1
 */
export function invalidToken(reason: string): GatewayError {
  return new GatewayError('invalid_token', { reason, challenge: { error: 'invalid_token' } })
}
