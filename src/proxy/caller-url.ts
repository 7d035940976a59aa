import { headerValues } from './header-names.ts'
import type { HeaderExchange } from './request-headers.ts'

interface Asked extends Pick<HeaderExchange, 'rawHeaders' | 'trustedPeer' | 'encrypted' | 'publicUrl'> {
  /** Host and port of the request, where the configuration names them as the gateway's own. */
  readonly ownHost: string | undefined
}

/**
 * The beginning of every URL by which the caller reaches the gateway: as the configuration says it, else as a trusted proxy
 * saw it, else by the host that a route names. Without a slash at its end; empty where none of them tells. The attack: a caller
 * sends a Host of its own choice, and a cache keeps the redirect to that host for everybody.
 */
export function callerUrl({ rawHeaders, trustedPeer, encrypted, publicUrl, ownHost }: Asked): string {
  if (publicUrl !== undefined) return publicUrl.replace(/\/*(\?.*)?$/, '')
  const said = (name: string) => (trustedPeer ? onlyValue(headerValues(rawHeaders, name)) : undefined)
  const authority = said('x-forwarded-host') ?? ownHost
  if (authority === undefined) return ''
  const scheme = said('x-forwarded-proto')?.toLowerCase() ?? ''
  return `${['http', 'https'].includes(scheme) ? scheme : encrypted ? 'https' : 'http'}://${authority}`
}

/** Of several, none: nobody can tell which proxy wrote which. What could not stand in a URL is none either. */
function onlyValue(values: readonly string[]): string | undefined {
  const [value = ''] = values
  return values.length === 1 && /^[\w.:[\]-]+$/.test(value) ? value : undefined
}
