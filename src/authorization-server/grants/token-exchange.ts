import type { Grant } from './define.ts'

/** What a token is, as RFC 8693 names it. @see https://www.rfc-editor.org/rfc/rfc8693#section-3 */
export const tokenTypes = {
  access_token: 'urn:ietf:params:oauth:token-type:access_token',
  jwt: 'urn:ietf:params:oauth:token-type:jwt',
} as const

export interface SubjectToken {
  /** The token of whoever the request is made for. */
  readonly token: string
  /** What it is, as a URI. */
  readonly type: string
  /** What is to come back, where that is said in the request; otherwise an access token. */
  readonly requestedType: string | undefined
}

/** A token in exchange for another one. @see https://www.rfc-editor.org/rfc/rfc8693#section-2.1 */
export function tokenExchange({ token, type, requestedType }: SubjectToken): Grant {
  return {
    type: 'urn:ietf:params:oauth:grant-type:token-exchange',
    parameters: () => [
      ['subject_token', token],
      ['subject_token_type', type],
    ],
    findAnswerFault: (answer) => findAnswerFault(answer, requestedType ?? tokenTypes.access_token),
  }
}

/** What is not meant for a resource server must not get to one: an ID token, a refresh token, an assertion. */
function findAnswerFault(
  { issued_token_type: issued, token_type: type }: Readonly<Record<string, unknown>>,
  expected: string,
): string | undefined {
  if (issued === undefined) return 'issued_token_type is missing, so that nobody knows what came'
  if (issued !== expected) return 'issued_token_type is not that of the token that was asked for'
  if (String(type).toLowerCase() === 'n_a') return 'the token_type is N_A: what came is no access token'
  return undefined
}
