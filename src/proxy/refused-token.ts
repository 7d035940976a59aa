import type { IncomingMessage } from 'node:http'
import { headerValues } from './header-names.ts'

/**
 * True for an answer by which an upstream refuses the access token that was sent to it: a 401 whose challenge is Bearer,
 * DPoP or absent. A token that lacks scope is not refused; its successor would lack it too.
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-3.1
 */
export function refusesToken({ statusCode, rawHeaders }: Pick<IncomingMessage, 'statusCode' | 'rawHeaders'>): boolean {
  if (statusCode !== 401) return false
  const challenges = headerValues(rawHeaders, 'www-authenticate').flatMap(readChallenges)
  if (challenges.some(({ error }) => error === 'insufficient_scope')) return false
  return challenges.length === 0 || challenges.some(({ scheme }) => scheme === 'bearer' || scheme === 'dpop')
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
