import { GatewayError } from '../base/errors.ts'

/** An OAuth error of the token endpoint. */
export class TokenRefusal extends GatewayError {
  /** True for `invalid_client`: it is the credential that will not do. @see https://www.rfc-editor.org/rfc/rfc6749#section-5.2 */
  readonly ofClient: boolean

  constructor(error: string, reason: string) {
    super('authorization_server_refused', { reason })
    this.ofClient = error === 'invalid_client'
  }
}

const longestPause = 300

/** The pause that a `Retry-After` asks for, in seconds, from 1 to 300. @see https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 */
export function retryAfterSeconds(value: string | null, now: number): number {
  const seconds = /^\d+$/.test(value ?? '') ? Number(value) : (Date.parse(value ?? '') - now) / 1000
  return Math.min(longestPause, Math.max(1, Math.ceil(Number.isNaN(seconds) ? 1 : seconds)))
}

/** A run of characters that could be a credential or a token in some encoding; words of an error are in lower case. */
const opaque = /(?![a-z_-]+(?![\w+/=%.~-]))[\w+/=%.~-]{16,}/g
/** What is longer is a page and no description; to look through a megabyte of it would hold up everybody else. */
const longestDescription = 1000

/**
 * What an OAuth error answer says, for the log: its code and description, cut to what is printable. A server may quote
 * what was sent to it; whatever could be a credential or a token is left out. `undefined` if it is no such answer.
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-5.2
 */
export function readRefusal(
  text: string,
  secret: string | undefined,
): { readonly error: string; readonly told: string } | undefined {
  const { error, error_description: description } = parse(text)
  if (typeof error !== 'string' || !/^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(error)) return undefined
  const described = typeof description === 'string' && description.length <= longestDescription
  const told = spellings(secret)
    .reduce(
      (said, spelling) => said.replaceAll(spelling, '[redacted]'),
      described ? `${error} (${description})` : error,
    )
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(opaque, '[redacted]')
    .slice(0, 300)
  return { error, told }
}

/** A secret as it is, and as a form or a URL has it. */
function spellings(secret: string | undefined): string[] {
  if (secret === undefined) return []
  const form = new URLSearchParams([['', secret]]).toString().slice(1)
  return [secret, form, form.replaceAll('+', '%20')]
}

function parse(text: string): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(text)
    return typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
