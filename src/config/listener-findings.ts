import { X509Certificate } from 'node:crypto'
import { isEverybody } from '../base/network.ts'
import { unfoldPem } from '../base/private-key.ts'
import { type ListenerOptions, listenerOptions } from './listener.ts'
import type { Finding } from './references.ts'

/** What a listener says beside its routes and its files. `admitting` are the listeners with routes that admit by network. */
export function listenerFindings(listeners: unknown, admitting: ReadonlySet<string>): Finding[] {
  return Object.entries(Object(listeners)).flatMap(([name, value]) => {
    const { data: listener } = listenerOptions.safeParse(value)
    if (!listener) return []
    const path = ['listeners', name]
    return [
      ...proxyFindings(listener, admitting.has(name), path),
      ...expiryFindings(listener, path),
      ...publicUrlFindings(listener, path),
    ]
  })
}

/** Each network that is everybody by itself, or else all of them, where they are so together. */
export function everybodyAmong(networks: readonly string[]): { readonly at: readonly number[]; readonly is: string }[] {
  const single = networks.flatMap((network, index) =>
    isEverybody([network]) ? [{ at: [index], is: 'is everybody' }] : [],
  )
  if (single.length > 0 || !isEverybody(networks)) return single
  return [{ at: [], is: 'is everybody, taken together' }]
}

/** Whoever calls then writes its own address, and is in any network that it likes. */
function proxyFindings({ trusted_proxies: proxies = [] }: ListenerOptions, admits: boolean, path: string[]): Finding[] {
  return everybodyAmong(proxies).map(({ at, is }) => ({
    path: [...path, 'trusted_proxies', ...at],
    message: admits
      ? `${is}, so that callers write their own address, and routes of this listener admit by it; name the addresses of the proxies`
      : `${is}, so that callers write their own address for the log; name the addresses of the proxies`,
    ...(!admits && { warning: true }),
  }))
}

/** Files are read again when they change, so it may be replaced in time; but nobody should find out by way of an outage. */
function expiryFindings({ tls }: ListenerOptions, path: string[]): Finding[] {
  if (!tls) return []
  const { validToDate } = new X509Certificate(unfoldPem(tls.certificate.read()))
  if (validToDate.getTime() > Date.now()) return []
  const message = `expired on ${validToDate.toISOString()}; callers that look at it do not come in`
  return [{ path: [...path, 'tls', 'certificate'], message, warning: true }]
}

/** It becomes X-Forwarded-Proto: upstreams would write links that lead nowhere, or drop what they guard for TLS alone. */
function publicUrlFindings({ tls, public_url: url }: ListenerOptions, path: string[]): Finding[] {
  if (!tls || url === undefined || !url.startsWith('http:')) return []
  const message = 'is http, and the listener speaks TLS alone; write https, unless a proxy in front speaks plain HTTP'
  return [{ path: [...path, 'public_url'], message, warning: true }]
}
