import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { dirname, resolve } from 'node:path'
import { createMetrics, type Metrics } from './admin/metrics.ts'
import { type AuthorizationServer, createAuthorizationServer } from './authorization-server/authorization-server.ts'
import { createKeySet, type KeySet } from './authorization-server/key-set.ts'
import { createStaticKeySet } from './authorization-server/static-key-set.ts'
import type { Clock } from './base/clock.ts'
import { GatewayError } from './base/errors.ts'
import { InFlight } from './base/in-flight.ts'
import { createLineLog, type LineLog, type Log } from './base/log.ts'
import { Networks } from './base/network.ts'
import { admissionOf } from './config/admission.ts'
import type { ListenerOptions } from './config/listener.ts'
import type { Config } from './config/load.ts'
import { namedRoutes } from './config/route-names.ts'
import type { RouteOptions } from './config/schema.ts'
import { createEgress, type Egress } from './egress/egress.ts'
import type { RegistrationPlace } from './egress/registration/registrars.ts'

import type { TokenCache } from './egress/token-cache/define.ts'
import type { TokenExchange, TokenRequest } from './egress/token-request.ts'

import type { TokenSource } from './egress/token-source.ts'
import { type AccessTokenVerifier, createAccessTokenVerifier, type TrustedServer } from './ingress/access-token.ts'
import { type BrowserRule, createBrowserRule, isOpenToPages } from './ingress/browser-rule.ts'
import { type Callers, createCallers } from './ingress/callers.ts'
import { createListenerTls, type ListenerTls } from './ingress/listener-tls.ts'
import { createReportMode, type ReportMode } from './ingress/report-mode.ts'
import { createRequirement, type Requirement } from './ingress/requirement.ts'
import { createPassThrough, type PassThrough } from './pass-through.ts'
import { createForwarder, type Forwarder } from './proxy/forward.ts'
import { mergeIdentityHeaders } from './proxy/identity-headers.ts'
import { compileHeaderPolicy, type HeaderPolicy } from './proxy/request-headers.ts'
import { createUpstream, type Upstream } from './proxy/upstream.ts'
import { createUpstreamPools, type UpstreamPools } from './proxy/upstream-agents.ts'
import { createHostMatcher } from './routes/host-matcher.ts'
import { createRouteTable, type RoutePattern, type RouteTable } from './routes/route-table.ts'

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

export interface Listener {
  readonly name: string
  readonly options: ListenerOptions
  /** The protection space that a challenge names. */
  readonly realm: string
  readonly trustedProxies: Networks
  readonly tls?: ListenerTls
  readonly routes: RouteTable<Route>
  /** Given for a forward proxy. */
  readonly proxy?: {
    /** The routes that have a host: no other is for somebody else's URLs. */
    readonly routes: RouteTable<Route>
    /** By `passKey`. */
    readonly passThrough: ReadonlyMap<string, Route>
  }
}

/** What a gateway is made of. */
export interface Parts {
  readonly log: Log
  /** For the one line that each request has. */
  readonly requestLog: LineLog
  readonly clock: Clock
  readonly listeners: readonly Listener[]
  readonly accessTokens: AccessTokenVerifier
  readonly tokens: TokenSource
  readonly forwarder: Forwarder
  readonly metrics: Metrics
  /** Who this gateway is in `Via`: another one may stand behind it, and is no loop. */
  readonly viaName: string
  stopping: boolean
  /** Requests that are on their way. */
  readonly inFlight: InFlight
  /** Connections that have become, or are to become, WebSockets. */
  readonly upgraded: Set<Socket>
  /** Cuts them, and gives back how many. */
  endUpgraded(): number
  /** Waits for the requests on their way, whose connections must have been closed, and ends what works in the background. */
  close(): Promise<void>
}

/** Makes all parts of a gateway, and starts what works in the background. */
export function wire(
  config: Config,
  {
    log,
    clock,
    tokenCache: cache,
  }: { readonly log: Log; readonly clock: Clock; readonly tokenCache?: TokenCache | undefined },
): Parts {
  const inFlight = new InFlight()
  const upgraded = new Set<Socket>()
  const endUpgraded = () => {
    const count = upgraded.size
    for (const socket of upgraded) socket.destroy(new GatewayError('stopping'))
    upgraded.clear()
    return count
  }
  const viaName = `scopegate-${randomBytes(6).toString('hex')}`
  const servers = createServers(config, clock)
  const trusted = trustedServers(config, servers, { log, clock })
  const egress = createEgress({
    clients: config.clients,
    tokenCache: config.token_cache,
    cache,
    registrations: registrationPlace(config),
    servers,
    log,
    clock,
  })
  const reservedHeaders = identityHeadersOf(config)
  const pools = createUpstreamPools()
  const routes = namedRoutes(config).map((route) =>
    compileRoute(route, { config, reservedHeaders, egress, pools, viaName, clock }),
  )
  const passThrough = Object.entries(config.listeners).flatMap(([listener, { forward_proxy: proxy }]) =>
    (proxy?.pass_through ?? []).map((authority) =>
      createPassThrough(authority, { listener, viaName, reservedHeaders }),
    ),
  )
  for (const { until, ...trial } of trialsOf(routes))
    if (clock.now() < until) log.warn({ ...trial, until: new Date(until).toISOString() }, 'report mode')
  for (const { keys } of trusted) keys.start()
  egress.register(routes.flatMap(({ token }) => (token ? [token.client] : [])))
  const metrics = createMetrics({ inFlight: () => inFlight.count, trials: trialsOf(routes) })
  return {
    log,
    requestLog: createLineLog(log),
    clock,
    viaName,
    tokens: egress.tokens,
    accessTokens: createAccessTokenVerifier(trusted, { clock }),
    forwarder: createForwarder({ clock }),
    metrics,
    listeners: Object.entries(config.listeners).map(([name, options]) =>
      createListener(name, options, { routes, passThrough, log, metrics }),
    ),
    stopping: false,
    inFlight,
    upgraded,
    endUpgraded,
    async close() {
      endUpgraded()
      await inFlight.ended()
      for (const { keys } of trusted) keys.stop()
      await egress.close()
      for (const { upstream } of [...routes, ...passThrough]) upstream.close()
      await Promise.all([...servers.values()].map((server) => server.close()))
    },
  }
}

/** The authorization servers of the configuration, by name. Nothing is asked of them yet. */
export function createServers(config: Config, clock: Clock): ReadonlyMap<string, AuthorizationServer> {
  const entries = Object.entries(config.authorization_servers)
  return new Map(entries.map(([name, options]) => [name, createAuthorizationServer(name, options, { clock })]))
}

/** Where the registrations of clients are kept. */
export function registrationPlace({ file, token_cache: { redis }, registrations }: Config): RegistrationPlace {
  return { redis, file: registrations, folder: dirname(resolve(file)) }
}

function trustedServers(
  config: Config,
  servers: ReadonlyMap<string, AuthorizationServer>,
  context: { readonly log: Log; readonly clock: Clock },
): TrustedServer[] {
  return Object.entries(config.authorization_servers).flatMap(([name, options]) => {
    const server = servers.get(name)
    if (!options.access_tokens || !server) return []
    const issuers = options.access_tokens.issuers ?? (options.issuer === undefined ? [] : [options.issuer])
    const keys: KeySet = options.jwks
      ? createStaticKeySet(options.jwks, name, context.log)
      : createKeySet(server, options.keys, context)
    return [{ name, issuers, keys, options: options.access_tokens }]
  })
}

/** The routes that are, or were, in report mode. */
function trialsOf(routes: readonly Route[]) {
  return routes.flatMap(({ listener = '', name, report }) =>
    report ? [{ listener, route: name, until: report.until }] : [],
  )
}

interface ListenerContext {
  readonly routes: readonly Route[]
  readonly passThrough: readonly PassThrough[]
  readonly log: Log
  readonly metrics: Metrics
}

function createListener(name: string, options: ListenerOptions, context: ListenerContext): Listener {
  const { log, metrics } = context
  const isOwn = ({ listener }: Pick<Route, 'listener'>) => listener === name
  const routes = context.routes.filter(isOwn)
  const passThrough = context.passThrough.filter(isOwn)
  return {
    name,
    options,
    realm: options.public_url ?? 'scopegate',
    trustedProxies: new Networks(options.trusted_proxies ?? []),
    ...(options.tls && {
      tls: createListenerTls(
        { ...options.tls, handshakeTimeout: options.timeouts.headers },
        {
          renewed: () => log.info({ listener: name }, 'certificate renewed'),
          notRenewed: (reason) => log.warn({ listener: name, reason }, 'certificate not renewed'),
          handshakeFailed(reason, { remoteAddress }) {
            log.info({ listener: name, code: 'handshake_failed', reason, address: remoteAddress }, 'refused')
            metrics.countRefusedConnection(name, 'handshake_failed')
          },
        },
      ),
    }),
    routes: createRouteTable(routes),
    ...(options.forward_proxy && {
      proxy: {
        routes: createRouteTable(routes.filter(({ host }) => host !== undefined)),
        passThrough: new Map(passThrough.map((route) => [route.key, route])),
      },
    }),
  }
}

/** Each of them once, and gathered once: for each route anew, 10,000 routes would take seconds to be made. */
function identityHeadersOf(config: Config): readonly string[] {
  const named = [config, ...config.routes].flatMap((one) => Object.keys(one.identity_headers ?? {}))
  return [...new Set(named)]
}

interface RouteContext {
  readonly config: Config
  readonly reservedHeaders: readonly string[]
  readonly egress: Egress
  readonly pools: UpstreamPools
  readonly viaName: string
  readonly clock: Clock
}

function compileRoute(
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
