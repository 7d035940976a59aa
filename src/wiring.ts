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
import type { Config } from './config/load.ts'
import { namedRoutes } from './config/route-names.ts'
import { createEgress } from './egress/egress.ts'
import type { RegistrationPlace } from './egress/registration/registrars.ts'
import type { TokenCache } from './egress/token-cache/define.ts'
import type { TokenSource } from './egress/token-source.ts'
import { type AccessTokenVerifier, createAccessTokenVerifier, type TrustedServer } from './ingress/access-token.ts'
import { createListener, type Listener } from './listener.ts'
import { createPassThrough } from './pass-through.ts'
import { createForwarder, type Forwarder } from './proxy/forward.ts'
import { createUpstreamPools } from './proxy/upstream-agents.ts'
import { compileRoute, type Route } from './route.ts'

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

/** Each of them once, and gathered once: for each route anew, 10,000 routes would take seconds to be made. */
function identityHeadersOf(config: Config): readonly string[] {
  const named = [config, ...config.routes].flatMap((one) => Object.keys(one.identity_headers ?? {}))
  return [...new Set(named)]
}
