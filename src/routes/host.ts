import { isIPv6 } from 'node:net'
import { GatewayError } from '../base/errors.ts'

const port = '(?::\\d{0,5})?'
const label = '[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?'
const named = new RegExp(`^(${label}(?:\\.${label})*)\\.?${port}$`, 'i')
const bracketed = new RegExp(`^\\[([0-9a-f:.]+)\\]${port}$`, 'i')
const longestName = 253

/**
 * The host that a `Host` header names: in lower case, without port and final dot; an IPv6 address in brackets, in its
 * one canonical form. Empty where the header is empty, or where HTTP/1.0 has none. @see https://www.rfc-editor.org/rfc/rfc9110#section-7.2
 * @throws {GatewayError} invalid_host
 */
export function readHost(header: string | undefined, httpVersion = '1.1'): string {
  if (header === '' || (header === undefined && httpVersion === '1.0')) return ''
  const host = header === undefined ? undefined : canonicalHost(header)
  // A list, userinfo or an escape in Host is one name to this gateway and may be another to whoever stands behind.
  if (host === undefined)
    throw new GatewayError('invalid_host', {
      reason: header === undefined ? 'missing' : 'not a host name or address',
      closeConnection: true,
    })
  return host
}

function canonicalHost(text: string): string | undefined {
  const name = named.exec(text)?.[1]
  if (name !== undefined) return name.length <= longestName ? name.toLowerCase() : undefined
  const address = bracketed.exec(text)?.[1] ?? ''
  return isIPv6(address) ? canonicalAddress(address) : undefined
}

/** A host as `readHost` gives it, and its port. */
export interface Authority {
  readonly host: string
  readonly port: number
}

/** One text for one host and port. */
export function passKey({ host, port }: Authority): string {
  return `${host}:${port}`
}

/** Host and port out of `host`, `host:port` or `[address]:port`; `undefined` for anything else, userinfo among it. */
export function readAuthority(text: string, defaultPort: number): Authority | undefined {
  const host = canonicalHost(text)
  const written = /:(\d*)$/.exec(text)?.[1] ?? ''
  const port = written === '' ? defaultPort : Number(written)
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port }
}

/** `[0:0::1]` and `[::1]` are one host, and a route's `host` must own both. */
function canonicalAddress(address: string): string {
  return new URL(`http://[${address}]`).hostname
}

/** A host as a route names it, or one sentence about what is wrong with it. */
export function parseHostPattern(text: string): { readonly host: string } | { readonly fault: string } {
  const wanted = 'must be a host name such as api.example.com or *.example.com'
  if (/^[a-z]+:\/\//i.test(text) || text.includes('/'))
    return { fault: `is "${text}", and ${wanted}, without scheme and path` }
  if (isIPv6(text)) return { host: canonicalAddress(text) }
  const suffix = text.startsWith('*.') ? text.slice(2) : text
  if (suffix.includes('*')) return { fault: `is "${text}", and * can only be the first label, as in *.example.com` }
  const host = canonicalHost(suffix)
  if (host === undefined || (suffix !== text && host.startsWith('['))) return { fault: `is "${text}", and ${wanted}` }
  if (/:\d*$/.test(suffix.replace(/^\[.*\]/, '')))
    return { fault: `is "${text}", and has a port, which is never compared: write ${text.replace(/:\d*$/, '')}` }
  return { host: suffix === text ? host : `*.${host}` }
}
