import type { Clock } from './base/clock.ts'
import { admissionOf } from './config/admission.ts'
import type { Config } from './config/load.ts'
import type { RouteOptions } from './config/schema.ts'
import type { Egress } from './egress/egress.ts'
import type { TokenExchange, TokenRequest } from './egress/token-request.ts'
import { type BrowserRule, createBrowserRule, isOpenToPages } from './ingress/browser-rule.ts'
import { type Callers, createCallers } from './ingress/callers.ts'
import { createReportMode, type ReportMode } from './ingress/report-mode.ts'
import { createRequirement, type Requirement } from './ingress/requirement.ts'
import { mergeIdentityHeaders } from './proxy/identity-headers.ts'
import { compileHeaderPolicy, type HeaderPolicy } from './proxy/request-headers.ts'
import { createUpstream, type Upstream } from './proxy/upstream.ts'
import type { UpstreamPools } from './proxy/upstream-agents.ts'
import { createHostMatcher } from './routes/host-matcher.ts'
import type { RoutePattern } from './routes/route-table.ts'

/** A route, with everything that can be done once done. */
export interface Route extends RoutePattern {
  readonly name: string
  readonly callers?: Callers
  readonly browserRule?: BrowserRule
  readonly requirement?: Requirement
  /** While it is on, nobody is refused who does not meet the two above. */
  readonly report?: ReportMode
  readonly token?: {
    readonly client: string
    /** One for all, or one for each caller, whose own token is exchanged. */
    readonly request: TokenRequest | TokenExchange
    readonly header: string
    readonly scheme: string
    /** Whether a 401 of the upstream's is answered with another token; otherwise it passes. */
    readonly replaceRefused: boolean
  }
  /** The same route as it is for preflights, where they go on: nobody is asked for a token, and nobody's credential is sent. */
  readonly preflight?: Route
  /** Whether an upgraded connection ends when the caller's token does. */
  readonly endsAtExpiry: boolean
  readonly headers: HeaderPolicy
  readonly upstream: Upstream
}

/** What a route is made with. */
export interface RouteContext {
  readonly config: Config
  readonly reservedHeaders: readonly string[]
  readonly egress: Egress
  readonly pools: UpstreamPools
  readonly viaName: string
  readonly clock: Clock
}

/** Makes a route ready, once for all its requests. */
export function compileRoute(
  route: RouteOptions & Pick<Route, 'name' | 'listener'>,
  { config, reservedHeaders, egress, pools, viaName, clock }: RouteContext,
): Route {
  const certificate = route.token && egress.certificateOf(route.token.client)
  const upstream = createUpstream(route.upstream, { certificate, pools })
  const token = route.token && {
    client: route.token.client,
    request: route.token.exchange ? egress.exchangeFor(route.token) : egress.requestFor(route.token),
    header: route.token.header,
    scheme: route.token.scheme,
    replaceRefused: route.upstream_401 !== 'pass',
  }
  const report = createReportMode(route, clock)
  const policy = {
    viaName,
    reservedHeaders,
    identityHeaders: tellsIdentity(route) ? mergeIdentityHeaders(config.identity_headers, route.identity_headers) : {},
    ...(token && { tokenHeader: token.header }),
    ...(route.forward_authorization !== undefined && { forwardAuthorization: route.forward_authorization }),
    ...(route.forwarded_headers !== undefined && { forwardedHeaders: route.forwarded_headers }),
    ...(upstream.ownHost && { upstreamHost: upstream.hostHeader }),
  }
  const bare = {
    name: route.name,
    listener: route.listener,
    path: route.path,
    ...(route.host !== undefined && { host: route.host }),
    ...(route.methods && { methods: route.methods }),
    ...(route.allow_in_path && { allow_in_path: route.allow_in_path }),
    admission: admissionOf(route),
    ...(route.callers && { callers: createCallers(route.callers, clock) }),
    ...(isOpenToPages(route) && { browserRule: browserRuleOf(route, config) }),
    endsAtExpiry: route.end_at_token_expiry !== false,
    upstream,
  }
  return {
    ...bare,
    ...(route.require && { requirement: createRequirement(route.require) }),
    ...(report && { report }),
    ...(token && { token }),
    headers: compileHeaderPolicy(policy),
    ...(route.preflight && { preflight: { ...bare, headers: compileHeaderPolicy({ ...policy, bare: true }) } }),
  }
}

/** An API that the gateway has a token for is not told who called, unless the route says so. */
function tellsIdentity({ require, token, forwarded_headers: forwarded = token === undefined }: RouteOptions): boolean {
  return require !== undefined && forwarded
}

function browserRuleOf({ browsers, hosts = [], host, listener = '' }: RouteOptions, config: Config): BrowserRule {
  return createBrowserRule({
    browsers,
    listenerHost: config.listeners[listener]?.address.host ?? '',
    isNamed: createHostMatcher(host === undefined ? hosts : [...hosts, host]),
  })
}
