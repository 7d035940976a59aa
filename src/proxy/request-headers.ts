import { createBoundedMap } from '../base/bounded-map.ts'
import {
  foldHeaderName,
  hopByHopHeaders,
  isForwarded,
  isOverride,
  isProxyHeader,
  isTrace,
} from '../base/header-lists.ts'
import { plainAddress } from '../base/network.ts'
import { remember } from '../base/remember.ts'
import type { OutgoingHeaders } from './exchange.ts'
import { connectionOptions, headerValues } from './header-names.ts'
import { type IdentityHeaders, identityHeaderValues } from './identity-headers.ts'

/** What a route does with headers, as configured. */
export interface HeaderPolicyOptions {
  /** Every identity header that the configuration names, on whichever route. */
  readonly reservedHeaders: readonly string[]
  /** The ones that this route sets from the caller's token. */
  readonly identityHeaders: IdentityHeaders
  /** On a `token` route, the header that the gateway's token goes out in. */
  readonly tokenHeader?: string
  /** True: for requests that go on without any credential, be it the gateway's own or the caller's. */
  readonly bare?: boolean
  /** Default true: on routes without `token`, the caller's Authorization passes. */
  readonly forwardAuthorization?: boolean
  /** Whether the upstream is told where the request came from. Default: unless it is a `token` route. */
  readonly forwardedHeaders?: boolean
  /** The Host that the upstream gets; none given: the caller's. */
  readonly upstreamHost?: string
  /** The name of this gateway in `Via`. */
  readonly viaName: string
}

/** A {@link HeaderPolicyOptions}, made ready once for all requests of the route. */
export interface HeaderPolicy extends HeaderPolicyOptions {
  readonly forwardedHeaders: boolean
  /** What becomes of a caller's header of this name, however it is spelt. */
  readonly judge: (name: string) => HeaderVerdict
}

/** Whether a caller's header passes: from anybody, from a trusted proxy alone, or never. */
interface HeaderVerdict {
  readonly lower: string
  readonly passes: 'always' | 'believed' | 'never'
}

/** One request, as far as its headers are concerned. */
export interface HeaderExchange {
  readonly rawHeaders: readonly string[]
  readonly httpVersion: string
  /** The address at the other end of the connection. */
  readonly peerAddress: string
  /** True if that is a proxy of ours, whose `X-Forwarded-*` are believed. */
  readonly trustedPeer: boolean
  readonly encrypted: boolean
  /** How callers see the listener, if configured. */
  readonly publicUrl?: string | undefined
  /** The caller's Host. */
  readonly host: string
  /** The verified claims of the caller's token. */
  readonly claims?: object | undefined
  /** The token that the gateway obtained; must be there on a `token` route. */
  readonly token?: OutgoingToken | undefined
}

/** A token as it goes out. An empty scheme: the token alone. */
export interface OutgoingToken {
  readonly header: string
  readonly scheme: string
  readonly value: string
}

/** Makes a route's header policy ready. */
export function compileHeaderPolicy({ tokenHeader, ...options }: HeaderPolicyOptions): HeaderPolicy {
  const { bare = false, forwardAuthorization = true, reservedHeaders, identityHeaders } = options
  const onTokenRoute = tokenHeader !== undefined
  const forwardedHeaders = options.forwardedHeaders ?? !onTokenRoute
  const reserved = new Set([...reservedHeaders, ...Object.keys(identityHeaders)].map(foldHeaderName))
  if (tokenHeader !== undefined) reserved.add(foldHeaderName(tokenHeader))
  // The caller's own credential never reaches an API that the gateway has its own for, nor stands beside that.
  if (onTokenRoute || bare || !forwardAuthorization) reserved.add('authorization')
  if (bare) reserved.add('cookie')
  const judge = judgeFor({
    reserved: [...reserved].sort(),
    forwardedHeaders,
    dropsTraces: onTokenRoute && !forwardedHeaders,
  })
  return { ...options, ...(!bare && onTokenRoute && { tokenHeader }), forwardedHeaders, judge }
}

/** What decides on the headers of callers. */
interface HeaderRule {
  /** Folded names, in order. */
  readonly reserved: readonly string[]
  readonly forwardedHeaders: boolean
  readonly dropsTraces: boolean
}

/** There may be thousands of rules, and each remembers for itself. */
const ofEachRule = { most: 128 }

/** Thousands of routes may have the same rule, and share what is remembered of names. */
const judges = createBoundedMap<HeaderPolicy['judge']>()

function judgeFor(rule: HeaderRule): HeaderPolicy['judge'] {
  const key = JSON.stringify(rule)
  const judge = judges.get(key) ?? createJudge(rule)
  judges.set(key, judge)
  return judge
}

function createJudge({ reserved, forwardedHeaders, dropsTraces }: HeaderRule): HeaderPolicy['judge'] {
  const isReserved = new Set(reserved)
  const isStripped = (folded: string) =>
    always.has(folded) ||
    isReserved.has(folded) ||
    isProxyHeader(folded) ||
    isOverride(folded) ||
    (dropsTraces && isTrace(folded))
  return remember((name): HeaderVerdict => {
    const lower = name.toLowerCase()
    const folded = foldHeaderName(name)
    if (isStripped(folded)) return { lower, passes: 'never' }
    if (!isForwarded(folded)) return { lower, passes: 'always' }
    return { lower, passes: forwardedHeaders && folded === lower ? 'believed' : 'never' }
  }, ofEachRule)
}

/** Never copied: said anew, or for the gateway alone. `__proto__` is a setter on the objects that Node makes of headers. */
const always: ReadonlySet<string> = new Set([
  ...hopByHopHeaders,
  'content-length',
  'expect',
  'host',
  'via',
  foldHeaderName('__proto__'),
])

/**
 * The headers that go to the upstream: the caller's, without what is not the caller's to say, and then ours. How long the
 * body is stands in none of them: whoever sends the body says it.
 * @throws {TypeError} if the token of a `token` route is missing: without it nothing may go out
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-7.6
 */
export function buildRequestHeaders(policy: HeaderPolicy, exchange: HeaderExchange): OutgoingHeaders {
  const headers: Record<string, string | string[]> = Object.create(null)
  headers.host = policy.upstreamHost ?? exchange.host
  copyPassing(policy, exchange, headers)
  const own = `${exchange.httpVersion} ${policy.viaName}`
  const via = headerValues(exchange.rawHeaders, 'via')
  headers.via = via.length === 0 ? own : [...via, own].join(', ')
  if (policy.forwardedHeaders) addForwardedHeaders(headers, exchange)
  if (exchange.claims) {
    for (const [name, value] of identityHeaderValues(policy.identityHeaders, exchange.claims)) headers[name] = value
  }
  const { token } = exchange
  if (policy.tokenHeader !== undefined && !token) throw new TypeError('the token of a token route is missing')
  if (token) headers[token.header.toLowerCase()] = token.scheme === '' ? token.value : `${token.scheme} ${token.value}`
  return headers
}

function copyPassing(
  policy: HeaderPolicy,
  { rawHeaders, trustedPeer }: HeaderExchange,
  headers: Record<string, string | string[]>,
): void {
  const listed = connectionOptions(rawHeaders)
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const { lower, passes } = policy.judge(rawHeaders[index] ?? '')
    const value = rawHeaders[index + 1] ?? ''
    if (passes === 'never' || (passes === 'believed' && !trustedPeer)) continue
    // `Connection: Authorization` must not take away what the request was admitted by.
    if (listed.size > 0 && listed.has(lower) && lower !== 'authorization') continue
    const before = headers[lower]
    headers[lower] = before === undefined ? value : [...(Array.isArray(before) ? before : [before]), value]
  }
}

/** The three that tell where a request came from; a trusted proxy's word is kept, and the address is added to it. */
function addForwardedHeaders(headers: Record<string, string | string[]>, exchange: HeaderExchange): void {
  const said = (name: string) =>
    exchange.trustedPeer ? headerValues(exchange.rawHeaders, name).join(', ') || undefined : undefined
  const url = exchange.publicUrl === undefined ? undefined : originOf(exchange.publicUrl)
  const before = said('x-forwarded-for')
  const address = plainAddress(exchange.peerAddress)
  headers['x-forwarded-for'] = before === undefined ? address : `${before}, ${address}`
  headers['x-forwarded-proto'] = said('x-forwarded-proto') ?? url?.protocol ?? (exchange.encrypted ? 'https' : 'http')
  headers['x-forwarded-host'] = said('x-forwarded-host') ?? url?.host ?? exchange.host
}

const originOf = remember((publicUrl) => {
  const { protocol, host } = new URL(publicUrl)
  return { protocol: protocol.slice(0, -1), host }
})
