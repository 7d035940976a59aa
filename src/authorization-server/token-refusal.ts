import { GatewayError } from '../base/errors.ts'

/** An OAuth error of the token endpoint. */
export class TokenRefusal extends GatewayError {
  /** Such as `invalid_client`. @see https://www.rfc-editor.org/rfc/rfc6749#section-5.2 */
  readonly oauthError: string

  constructor(oauthError: string, reason: string) {
    super('authorization_server_refused', { reason })
    this.oauthError = oauthError
  }
}

const longestPause = 300

/** The pause that a `Retry-After` asks for, in seconds, from 1 to 300. @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 */
export function retryAfterSeconds(value: string | null, now: number): number {
  const seconds = /^\d+$/.test(value ?? '') ? Number(value) : (Date.parse(value ?? '') - now) / 1000
  return Math.min(longestPause, Math.max(1, Math.ceil(Number.isNaN(seconds) ? 1 : seconds)))
}

/**
 * What an OAuth error answer says, for the log: its code and description, cut to what is printable, and without the
 * description where the server quotes the secret, or an assertion, in it. `undefined` if it is no such answer.
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-5.2
 */
export function readRefusal(
  text: string,
  secret: string | undefined,
): { readonly error: string; readonly told: string } | undefined {
  const answer = parse(text)
  const { error, error_description: description } = answer
  if (typeof error !== 'string' || !/^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(error) || quotes(error, secret))
    return undefined
  const printable = typeof description === 'string' ? description.replace(/[^\x20-\x7e]/g, '?').slice(0, 200) : ''
  const told = printable === '' || quotes(String(description), secret) ? error : `${error} (${printable})`
  return { error, told }
}

function quotes(text: string, secret: string | undefined): boolean {
  return (secret !== undefined && text.includes(secret)) || /eyJ[\w-]{6,}/.test(text)
}

function parse(text: string): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(text)
    return typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
