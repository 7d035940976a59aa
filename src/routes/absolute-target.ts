import { GatewayError } from '../base/errors.ts'
import { type Authority, readAuthority } from './host.ts'

/** The target of a request to a forward proxy. @see https://www.rfc-editor.org/rfc/rfc9112#section-3.2.2 */
export interface AbsoluteTarget extends Authority {
  /** Host and port as the caller wrote them. */
  readonly authority: string
  /** Path and query as they came, in origin-form. */
  readonly path: string
}

const defaultPort = 80
const parts = /^(https?):\/\/([^/?#]*)(.*)$/is

/**
 * Reads `http://host:port/path?query`. Nothing of it is decoded or repaired: what the host is here must be what it is to
 * whoever reads it next.
 * @throws {GatewayError} `https_not_proxied`, or `invalid_target` for userinfo, for a host in any other spelling than its
 * own, and for all that is no http URL
 */
export function readAbsoluteTarget(raw: string, method: string): AbsoluteTarget {
  const [, scheme = '', authority = '', rest = ''] = parts.exec(raw) ?? []
  // The caller believes that nobody can read it on its way here, which is not so.
  if (scheme.toLowerCase() === 'https') throw new GatewayError('https_not_proxied', { reason: 'an https URL' })
  if (scheme === '') throw invalid('no http URL')
  // `http://api.example.com@evil.example/`: a password in the open, or a host that is made to look like another one.
  if (authority.includes('@')) throw invalid('userinfo in the URL')
  const read = readAuthority(authority, defaultPort)
  if (!read) throw invalid('no host name or address in the URL')
  // It would have to go on as `OPTIONS *`, which asks about the server and is no route's business.
  if (rest === '' && method === 'OPTIONS') throw invalid('OPTIONS for a whole server')
  return { ...read, authority, path: rest.startsWith('/') ? rest : `/${rest}` }
}

function invalid(reason: string): GatewayError {
  return new GatewayError('invalid_target', { reason })
}
