import { GatewayError } from '../base/errors.ts'
import { redacted, withoutSecrets } from './quoted-secrets.ts'

/** An OAuth error of the token endpoint. */
export class TokenRefusal extends GatewayError {
  /** True if it is the credential that will not do. @see https://www.rfc-editor.org/rfc/rfc6749#section-5.2 */
  readonly ofClient: boolean
  /** True where it is no answer, but TLS that did not take the certificate. */
  readonly inTls: boolean
  /** True if the client gets nothing by this grant, whatever it asks for. */
  readonly ofGrant: boolean
  /**
   * What it may be that finds no favour: `shown`, the token or assertion that was shown is good no more; `request`, that or
   * anything else of the request.
   */
  readonly of: 'shown' | 'request' | undefined

  /** What a server says may quote a secret, also in the place of a code: `error` is looked at, and not kept. */
  constructor(
    reason: string,
    {
      error,
      ofClient,
      inTls = false,
    }: { readonly error?: string; readonly ofClient: boolean; readonly inTls?: boolean },
  ) {
    super('authorization_server_refused', { reason })
    this.ofClient = ofClient
    this.inTls = inTls
    this.ofGrant = error === 'unauthorized_client' || error === 'unsupported_grant_type'
    this.of = error === 'invalid_grant' ? 'shown' : error === 'invalid_request' ? 'request' : undefined
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

/** Words of the standards, which tell nothing even where a secret is made of them. */
const standardErrors = [
  'invalid_request',
  'invalid_client',
  'invalid_grant',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_target',
]

/**
 * What an OAuth error answer says, for the log: its code and description, cut to what is printable. A server may quote
 * what was sent to it; whatever could be a credential or a token is left out. `undefined` if it is no such answer.
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-5.2
 */
export function readRefusal(
  text: string,
  secrets: readonly string[],
): { readonly error: string; readonly told: string } | undefined {
  const { error, error_description: description } = parse(text)
  if (typeof error !== 'string' || !/^[\x20-\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(error)) return undefined
  const code = standardErrors.includes(error) ? error : (withoutSecrets(error, secrets) ?? redacted)
  const told = `${code}${tellDescription(description, secrets)}`
    .replace(/[^\x20-\x7e]/g, '?')
    .replace(opaque, redacted)
    .slice(0, 300)
  return { error, told }
}

function tellDescription(description: unknown, secrets: readonly string[]): string {
  if (typeof description !== 'string' || description.length > longestDescription) return ''
  const told = withoutSecrets(description, secrets)
  return told === undefined ? ' [description left out]' : ` (${told})`
}

function parse(text: string): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(text)
    return typeof answer === 'object' && answer !== null ? (answer as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
