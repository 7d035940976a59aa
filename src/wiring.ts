import { randomBytes } from 'node:crypto'
import { type AuthorizationServer, createAuthorizationServer } from './authorization-server/authorization-server.ts'
import { createKeySet, type KeySet } from './authorization-server/key-set.ts'
import type { Clock } from './base/clock.ts'
import type { Log } from './base/log.ts'
import { Networks } from './base/network.ts'
import { admissionOf } from './config/admission.ts'
import { defaultListener, type ListenerOptions } from './config/listener.ts'
import type { Config } from './config/load.ts'
import { routeNames } from './config/route-names.ts'
import type { RouteOptions } from './config/schema.ts'
import { createEgress, type Egress } from './egress/egress.ts'
import type { TokenRequest } from './egress/token-request.ts'
import type { TokenSource } from './egress/token-source.ts'
import { type AccessTokenVerifier, createAccessTokenVerifier, type TrustedServer } from './ingress/access-token.ts'
import { type Callers, createCallers } from './ingress/callers.ts'
import { createRequirement, type Requirement } from './ingress/requirement.ts'
import { createForwarder, type Forwarder } from './proxy/forward.ts'
import { mergeIdentityHeaders } from './proxy/identity-headers.ts'
import { compileHeaderPolicy, type HeaderPolicy } from './proxy/request-headers.ts'
import { createUpstream, type Upstream } from './proxy/upstream.ts'
import { createRouteTable, type RoutePattern, type RouteTable } from './routes/route-table.ts'

/** A route, with everything that can be done once done. */
export interface Route extends RoutePattern {
  readonly name: string
  readonly callers?: Callers
  readonly requirement?: Requirement
  readonly token?: {
    readonly client: string
    readonly request: TokenRequest
    readonly header: string
    readonly scheme: string
    /** Whether a 401 of the upstream's is answered with another token; otherwise it passes. */
    readonly replaceRefused: boolean
  }
  readonly headers: HeaderPolicy
  readonly upstream: Upstream
}

export interface Listener {
  readonly name: string
  readonly options: ListenerOptions
  /** The protection space that a challenge names. */
  readonly realm: string
  readonly trustedProxies: Networks
  readonly routes: RouteTable<Route>
}

/** What a gateway is made of. */
export interface Parts {
  readonly log: Log
  readonly clock: Clock
  readonly listeners: readonly Listener[]
  readonly accessTokens: AccessTokenVerifier
  readonly tokens: TokenSource
  readonly forwarder: Forwarder
  /** Who this gateway is in `Via`: another one may stand behind it, and is no loop. */
  readonly viaName: string
  stopping: boolean
  /** Requests that are on their way. */
  readonly inFlight: Set<Promise<unknown>>
  /** Waits for the requests on their way, whose connections must have been closed, and ends what works in the background. */
  close(): Promise<void>
}

/** Makes all parts of a gateway, and starts what works in the background. */
export function wire(config: Config, { log, clock }: { readonly log: Log; readonly clock: Clock }): Parts {
  const inFlight = new Set<Promise<unknown>>()
  const viaName = `scopegate-${randomBytes(6).toString('hex')}`
  const servers = createServers(config, clock)
  const trusted = trustedServers(config, servers, { log, clock })
  const egress = createEgress({ clients: config.clients, tokenCache: config.token_cache, servers, log, clock })
  const placed = config.routes.map((route) => ({
    ...route,
    listener: route.listener ?? defaultListener(config.listeners),
  }))
  const names = routeNames(placed)
  const routes = placed.map((route, index) =>
    compileRoute({ ...route, name: names[index] ?? '' }, { config, egress, viaName }),
  )
  for (const { keys } of trusted) keys.start()
  return {
    log,
    clock,
    viaName,
    tokens: egress.tokens,
    accessTokens: createAccessTokenVerifier(trusted, { clock }),
    forwarder: createForwarder({ clock }),
    listeners: Object.entries(config.listeners).map(([name, options]) => createListener(name, options, routes)),
    stopping: false,
    inFlight,
    async close() {
      await Promise.all(inFlight)
      for (const { keys } of trusted) keys.stop()
      await egress.tokens.close()
      for (const { upstream } of routes) upstream.close()
      await Promise.all([...servers.values()].map((server) => server.close()))
    },
  }
}

/** The authorization servers of the configuration, by name. Nothing is asked of them yet. */
export function createServers(config: Config, clock: Clock): ReadonlyMap<string, AuthorizationServer> {
  const entries = Object.entries(config.authorization_servers)
  return new Map(entries.map(([name, options]) => [name, createAuthorizationServer(name, options, { clock })]))
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
    const keys: KeySet = createKeySet(server, options.keys, context)
    return [{ name, issuers, keys, options: options.access_tokens }]
  })
}

function createListener(name: string, options: ListenerOptions, routes: readonly Route[]): Listener {
  return {
    name,
    options,
    realm: options.public_url ?? 'scopegate',
    trustedProxies: new Networks(options.trusted_proxies ?? []),
    routes: createRouteTable(routes.filter((route) => route.listener === name)),
  }
}

interface RouteContext {
  readonly config: Config
  readonly egress: Egress
  readonly viaName: string
}

function compileRoute(
  route: RouteOptions & Pick<Route, 'name' | 'listener'>,
  { config, egress, viaName }: RouteContext,
): Route {
  const upstream = createUpstream(route.upstream, route.token && egress.certificateOf(route.token.client))
  const token = route.token && {
    client: route.token.client,
    request: egress.requestFor(route.token),
    header: route.token.header,
    scheme: route.token.scheme,
    replaceRefused: route.upstream_401 !== 'pass',
  }
  const headers = compileHeaderPolicy({
    viaName,
    reservedHeaders: [config, ...config.routes].flatMap((one) => Object.keys(one.identity_headers ?? {})),
    identityHeaders: tellsIdentity(route) ? mergeIdentityHeaders(config.identity_headers, route.identity_headers) : {},
    ...(token && { tokenHeader: token.header }),
    ...(route.forward_authorization !== undefined && { forwardAuthorization: route.forward_authorization }),
    ...(route.forwarded_headers !== undefined && { forwardedHeaders: route.forwarded_headers }),
    ...(upstream.ownHost && { upstreamHost: upstream.hostHeader }),
  })
  return {
    name: route.name,
    listener: route.listener,
    path: route.path,
    ...(route.host !== undefined && { host: route.host }),
    ...(route.methods && { methods: route.methods }),
    ...(route.allow_in_path && { allow_in_path: route.allow_in_path }),
    admission: admissionOf(route),
    ...(route.callers && { callers: createCallers(route.callers) }),
    ...(route.require && { requirement: createRequirement(route.require) }),
    ...(token && { token }),
    headers,
    upstream,
  }
}

/** An API that the gateway has a token for is not told who called, unless the route says so. */
function tellsIdentity({ require, token, forwarded_headers: forwarded = token === undefined }: RouteOptions): boolean {
  return require !== undefined && forwarded
}
