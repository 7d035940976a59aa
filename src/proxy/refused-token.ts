import { headerValues } from './header-names.ts'
import type { UpstreamAnswer } from './upstream-answer.ts'

/** How an upstream refuses an access token. */
export interface UpstreamRefusal {
  readonly status: number
  /** That of its challenge, as the log may show it. */
  readonly error: string | undefined
}

/**
 * Reads the answer by which an upstream refuses the access token that was sent to it: a 401 whose challenge is Bearer,
 * DPoP or absent; `undefined` for any other. A token that lacks scope is not refused; its successor would lack it too.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3.1
 */
export function readTokenRefusal({
  statusCode,
  rawHeaders,
}: Pick<UpstreamAnswer, 'statusCode' | 'rawHeaders'>): UpstreamRefusal | undefined {
  if (statusCode !== 401) return undefined
  const challenges = headerValues(rawHeaders, 'www-authenticate').flatMap(readChallenges)
  if (challenges.some(({ error }) => error === 'insufficient_scope')) return undefined
  const ofTokens = challenges.filter(({ scheme }) => scheme === 'bearer' || scheme === 'dpop')
  if (challenges.length > 0 && ofTokens.length === 0) return undefined
  return { status: statusCode, error: shownError(ofTokens.find(({ error }) => error !== undefined)?.error) }
}

/** A word as the standards have them: an upstream may quote the token that it does not like. */
function shownError(error: string | undefined): string | undefined {
  return error === undefined || /^(?=.{1,40}$)[a-z]+(?:[_-][a-z]+)*$/.test(error) ? error : '[left out]'
}

interface Challenge {
  /** In lower case. */
  readonly scheme: string
  error?: string
}

/** A member of a comma-separated list; commas within quotes are its own. */
const listMember = /(?:[^",]|"(?:[^"\\]|\\.)*"?)+/g
const schemeAndRest = /^([\w!#$%&'*+.^`|~-]+)(?:[ \t]+(.*))?$/s
const parameter = /^([\w!#$%&'*+.^`|~-]+)[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|([\w!#$%&'*+.^`|~-]+))/s

/**
 * The challenges of one header line. Schemes and their parameters stand in one and the same list; what has a `=` behind
 * its name belongs to the scheme before it. @see https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1
 */
function readChallenges(value: string): Challenge[] {
  const challenges: Challenge[] = []
  for (const member of value.match(listMember) ?? []) {
    const text = member.trim()
    const [, scheme, rest = ''] = /^[^\s"=]+[ \t]*=/.test(text) ? [] : (schemeAndRest.exec(text) ?? [])
    if (scheme !== undefined) challenges.push({ scheme: scheme.toLowerCase() })
    const [, name = '', quoted, plain] = parameter.exec(scheme === undefined ? text : rest) ?? []
    const current = challenges.at(-1)
    if (current && name.toLowerCase() === 'error') current.error = quoted?.replace(/\\(.)/gs, '$1') ?? plain ?? ''
  }
  return challenges
}
