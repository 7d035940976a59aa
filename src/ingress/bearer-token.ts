import { GatewayError } from '../base/errors.ts'
import { invalidToken } from './invalid-token.ts'

const scheme = /^[\w!#$%&'*+.^`|~-]+/
const credentials = /^ +([\w.~+/-]+=*)$/

/**
 * The access token of a request, from the Authorization header alone. `target` is the request target as it came.
 * @throws {GatewayError} `token_required` without a bearer token in the header, `invalid_request` for a second one in
 * the query, `invalid_token` for what cannot be a token
 * @see https://www.rfc-editor.org/rfc/rfc6750#section-2
 */
export function readBearerToken(authorization: string | undefined, target: string): string {
  const name = scheme.exec(authorization ?? '')?.[0] ?? ''
  const rest = authorization?.slice(name.length) ?? ''
  if (name.toLowerCase() !== 'bearer' || rest.trim() === '') {
    // A URL ends up in logs and histories: a token in it counts as none, even as the only one.
    throw new GatewayError('token_required', {
      reason: 'there is no bearer token in the Authorization header',
      challenge: {},
    })
  }
  if (hasTokenInQuery(target)) {
    // The upstream might believe the one that nobody has checked.
    throw new GatewayError('invalid_request', {
      reason: 'there is a token in the query beside the one in the header',
      challenge: { error: 'invalid_request' },
    })
  }
  const token = credentials.exec(rest)?.[1]
  if (token === undefined) throw invalidToken('the bearer token is malformed')
  return token
}

/** Some servers separate parameters by `;`, some do not care about case, and all of them decode names. */
function hasTokenInQuery(target: string): boolean {
  const start = target.indexOf('?')
  if (start < 0) return false
  const parameters = new URLSearchParams(target.slice(start + 1).replaceAll(';', '&'))
  return [...parameters.keys()].some((name) => name.toLowerCase() === 'access_token')
}
