import { isIP } from 'node:net'
import { isLoopbackName, Networks } from '../base/network.ts'
import { type Authority, passKey } from '../routes/host.ts'
import { createHostMatcher } from '../routes/host-matcher.ts'
import { type Address, everyAddress, type ListenerOptions } from './listener.ts'
import type { Finding } from './references.ts'

/** A route, as far as a forward proxy has to do with it. */
export interface ProxiedRoute {
  readonly listener: string
  readonly host?: string | undefined
  /** What messages call it. */
  readonly label: string
}

export interface ForwardProxyContext {
  readonly name: string
  readonly routes: readonly ProxiedRoute[]
  /** Where this process itself listens, by what says so. */
  readonly own: ReadonlyMap<string, Address>
}

/** What a forward proxy hands out to whom, and whether its hosts are somebody's. */
export function forwardProxyFindings(listener: ListenerOptions, { name, routes, own }: ForwardProxyContext): Finding[] {
  const { forward_proxy: proxy, allow_http: allowHttp, tls, address } = listener
  const path = ['listeners', name]
  if (!proxy)
    return allowHttp === undefined
      ? []
      : [{ path: [...path, 'allow_http'], message: 'does nothing without forward_proxy; remove it' }]
  const findings: Finding[] = []
  // Whoever listens on the way reads what the token was for.
  if (!tls && allowHttp !== true && !isLoopbackName(hostOf(address)))
    findings.push({
      path: [...path, 'forward_proxy'],
      message:
        'would be reached over plain http from beyond this machine; give the listener tls, or write allow_http: true beside its address',
    })
  const proxied = routes.filter((route) => route.listener === name && route.host !== undefined)
  const passed = proxy.pass_through ?? []
  if (proxied.length === 0 && passed.length === 0)
    findings.push({
      path: [...path, 'forward_proxy'],
      message: 'reaches nobody: no route of this listener has a host, and pass_through names none',
      warning: true,
    })
  return [...findings, ...passed.flatMap((_, at) => passedFindings(passed, at, { path, proxied, own }))]
}

interface Surroundings extends Pick<ForwardProxyContext, 'own'> {
  readonly path: readonly string[]
  readonly proxied: readonly ProxiedRoute[]
}

function passedFindings(passed: readonly Authority[], at: number, { path, proxied, own }: Surroundings): Finding[] {
  const authority = passed[at]
  if (!authority) return []
  const place = [...path, 'forward_proxy', 'pass_through', at]
  const [listening] = [...own].find(([, address]) => isReachedBy(address, authority)) ?? []
  if (listening !== undefined)
    return [
      {
        path: place,
        message: `is this gateway's own address (${listening}), to which requests would come back; remove it`,
      },
    ]
  const route = proxied.find(({ host }) => host !== undefined && createHostMatcher([host])(authority.host))
  if (route)
    return [
      {
        path: place,
        message: `is a host of ${route.label} too, and its requests would go past that route, without a token; keep one of them`,
      },
    ]
  const isRepeated = passed.slice(0, at).some((earlier) => passKey(earlier) === passKey(authority))
  return isRepeated ? [{ path: place, message: 'stands there twice', warning: true }] : []
}

function isReachedBy(address: Address, { host, port }: Authority): boolean {
  if (address.port !== port) return false
  const own = hostOf(address)
  return isSameHost(own, host) || (isLoopbackName(host) && (isLoopbackName(own) || everyAddress.includes(own)))
}

/** `[::ffff:10.0.0.7]` leads to whoever listens on `10.0.0.7`, and the other way round. */
function isSameHost(own: string, host: string): boolean {
  const address = withoutBrackets(own)
  return own === host || (isIP(address) !== 0 && new Networks([address]).includes(withoutBrackets(host)))
}

function withoutBrackets(host: string): string {
  return host.replace(/^\[|\]$/g, '')
}

/** As a URL has it. */
function hostOf({ host }: Address): string {
  return host.includes(':') ? new URL(`http://[${host}]`).hostname : host.toLowerCase()
}
