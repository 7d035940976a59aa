import type { IncomingHttpHeaders } from 'node:http'
import { isIPv6 } from 'node:net'
import { GatewayError } from '../base/errors.ts'
import type { OptionFault } from '../base/fault-rule.ts'
import { isLoopbackName, plainAddress } from '../base/network.ts'

/** What a route says about it. */
interface Given {
  readonly token?: unknown
  readonly require?: unknown
  readonly browsers?: unknown
  readonly hosts?: unknown
  readonly preflight?: unknown
}

/** Whether the rule holds on a route. */
export function isOpenToPages({ token, require }: Given): boolean {
  return token !== undefined && require === undefined
}

export function findBrowserFault(route: Given): OptionFault | undefined {
  if (route.preflight !== undefined && isOpenToPages(route) && route.browsers !== true)
    return { path: ['preflight'], message: 'does nothing where no page may ask: write browsers: true, or remove it' }
  const key = (['browsers', 'hosts'] as const).find((name) => route[name] !== undefined)
  if (key === undefined || isOpenToPages(route)) return undefined
  const where = route.token === undefined ? 'without token' : 'with require, where no page has the token'
  return { path: [key], message: `does nothing on a route ${where}; remove it` }
}

export interface BrowserRuleOptions {
  /** True: pages may ask. The Host must be known all the same. */
  readonly browsers?: boolean | undefined
  /** Where the listener is bound, which may be a name. */
  readonly listenerHost: string
  /** Whether the configuration names a host, for this route. */
  isNamed(host: string): boolean
}

export interface AskingRequest {
  readonly headers: IncomingHttpHeaders
  /** Out of `Host`: in lower case, without port, an IPv6 address in brackets; empty where there is none. */
  readonly host: string
  /** This end of the connection: the listener's address, also where it is bound to all of them. */
  readonly localAddress: string | undefined
  /** Whether the connection speaks TLS. */
  readonly encrypted: boolean
}

export interface BrowserRule {
  /** @throws {GatewayError} `caller_not_allowed` */
  check(request: AskingRequest): void
}

/**
 * The attack: a route with `token` and without `require` trusts where a request comes from, and a browser on that machine
 * sends requests for whatever page it shows. A page of an attacker's may so use the gateway's credentials in two ways.
 *
 * 1. It asks for http://127.0.0.1:8081/… as it stands. The browser says so: in `Origin`, or in `Sec-Fetch-Site`, neither of
 *    which a page can leave out or change. A legacy service sends neither; a person who types the address, `none`. But
 *    `Origin` is not sent with a plain GET, and `Sec-Fetch-Site` only over TLS and to loopback names. Elsewhere whatever
 *    calls itself a browser, as all of them do in `User-Agent`, is taken for a page.
 * 2. It asks for its own name, attacker.example, whose address its owner has meanwhile changed to 127.0.0.1 (DNS
 *    rebinding). To the browser that is the page's own site, and the page may read the answer. `Host` still has the name.
 *
 * A client certificate is no way around it: a browser may present one by itself. A bearer token is: no page has it.
 */
export function createBrowserRule({ browsers = false, listenerHost, isNamed }: BrowserRuleOptions): BrowserRule {
  const bound = hostOf(listenerHost)
  return {
    check({ headers, host, localAddress, encrypted }) {
      const isKnown = (name: string) => {
        const local = localAddress !== undefined && name === hostOf(localAddress)
        const isOwn = local || (name === bound && !everywhere.includes(name))
        return name !== '' && (isOwn || isLoopbackName(name) || isNamed(name))
      }
      const isTold = encrypted || isLoopbackName(host)
      const sign = browsers ? undefined : (pageSign(headers, isKnown) ?? (isTold ? undefined : browserSign(headers)))
      if (sign !== undefined)
        throw notAllowed(`a page in a browser asks (it sent ${sign}), and the route does not say browsers: true`)
      if (!isKnown(host))
        throw notAllowed(`Host is ${host || 'missing'}: no address of the listener, and not in hosts of the route`)
    },
  }
}

/** The header that gives a page away. */
function pageSign(headers: IncomingHttpHeaders, isKnown: (host: string) => boolean): string | undefined {
  if (headers.origin !== undefined) return 'Origin'
  const site = headers['sec-fetch-site']
  if (site !== undefined && site !== 'none') return 'Sec-Fetch-Site'
  return headers.referer === undefined || isKnown(hostOfUrl(headers.referer)) ? undefined : 'Referer'
}

/** The header of every browser, unless the browser says that nobody's page is asking. */
function browserSign(headers: IncomingHttpHeaders): string | undefined {
  const isBrowser = headers['sec-fetch-site'] !== 'none' && /^\s*Mozilla\//i.test(headers['user-agent'] ?? '')
  return isBrowser ? 'User-Agent of one, without Sec-Fetch-Site' : undefined
}

/** Bound to these, a listener has every address of the machine; they are none that anybody would ask for. */
const everywhere: readonly string[] = ['0.0.0.0', '[::]']

/** Empty for what is no URL with a host. */
function hostOfUrl(text: string): string {
  return URL.parse(text)?.hostname.replace(/\.$/, '') ?? ''
}

/** An address as `Host` has it. */
function hostOf(address: string): string {
  const plain = plainAddress(address)
  return isIPv6(plain) ? new URL(`http://[${plain}]`).hostname : plain.toLowerCase()
}

function notAllowed(reason: string): GatewayError {
  return new GatewayError('caller_not_allowed', { reason })
}
