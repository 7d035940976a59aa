import { headerValues } from './header-names.ts'
import type { HeaderExchange } from './request-headers.ts'

type Asked = Pick<HeaderExchange, 'rawHeaders' | 'trustedPeer' | 'encrypted' | 'publicUrl' | 'host'>

/**
 * The beginning of every URL by which the caller reaches the gateway: as the configuration says it, else as a trusted proxy
 * saw it, else as the request did. Without a slash at its end; `undefined` where the request names no host.
 */
export function callerUrl({ rawHeaders, trustedPeer, encrypted, publicUrl, host }: Asked): string | undefined {
  if (publicUrl !== undefined) return publicUrl.replace(/\/*(\?.*)?$/, '')
  const said = (name: string) => (trustedPeer ? onlyValue(headerValues(rawHeaders, name)) : undefined)
  const scheme = said('x-forwarded-proto') ?? (encrypted ? 'https' : 'http')
  const authority = said('x-forwarded-host') ?? host
  return authority === '' ? undefined : `${scheme}://${authority}`
}

/** Of several, none: nobody can tell which proxy wrote which. What could not stand in a URL is none either. */
function onlyValue(values: readonly string[]): string | undefined {
  const [value = ''] = values
  return values.length === 1 && /^[\w.:[\]-]+$/.test(value) ? value : undefined
}
