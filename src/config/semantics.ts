import { foldHeaderName } from '../base/header-lists.ts'
import { isPlainHttp } from '../base/plain-http.ts'
import { flag } from '../base/scalars.ts'
import { clientOptions, expiriesOf } from '../egress/client.ts'
import { tokenCacheOptions } from '../egress/token-cache/index.ts'
import { isPlainRedis } from '../egress/token-cache/redis-options.ts'
import { judgeUntil } from '../ingress/report-mode.ts'
import { prefixCovers } from '../proxy/upstream.ts'
import { routeFaults } from '../routes/route-faults.ts'
import { admissionOf } from './admission.ts'
import { forwardProxyFindings } from './forward-proxy-findings.ts'
import { adminOptions, defaultListener, listenerOptions } from './listener.ts'
import { everybodyAmong, listenerFindings } from './listener-findings.ts'
import type { Finding } from './references.ts'
import { nameFindings } from './route-names.ts'
import { type RouteOptions, routeOptions } from './schema.ts'

export interface SemanticsContext {
  /** Milliseconds since the epoch. */
  readonly now: number
  /** What messages call a route, by its place in the list. */
  routeLabel(index: number): string
}

/** A route that is good by itself, and its place in the list. */
interface Placed {
  readonly index: number
  readonly route: RouteOptions
  readonly label: string
}

/**
 * What single values cannot tell: routes that get in each other's way, and tokens that would go out in the open. Looks at
 * every route that is good by itself, also where others are not.
 */
export function semanticFindings(values: unknown, { now, routeLabel }: SemanticsContext): Finding[] {
  const {
    routes: written,
    clients,
    listeners,
    identity_headers: headersOfAll,
  } = Object(values) as Readonly<Record<string, unknown>>
  const routes = (Array.isArray(written) ? written : []).flatMap((value: unknown, index): Placed[] => {
    const parsed = routeOptions.safeParse(value)
    return parsed.success ? [{ index, route: parsed.data, label: routeLabel(index) }] : []
  })
  return [
    ...routes.flatMap(({ index, route }) => [
      ...upstreamFindings(route, index, isBound(route, clients)),
      ...everybodyFindings(route, index),
      ...certificateFindings(route, index, listeners),
      ...untilFindings(route, index, now),
      ...identityFindings(route, index),
      ...spellingFindings(route, index, headersOfAll),
    ]),
    ...nameFindings(
      routes.map(({ index, route, label }) => ({
        ...route,
        ...{ index, label, listener: route.listener ?? defaultListener(listeners) },
      })),
    ),
    ...patternFindings(routes, listeners),
    ...proxyFindings(values, routes),
    ...listenerFindings(listeners, new Set(routes.flatMap(({ route }) => admittingByNetwork(route, listeners)))),
    ...Object.entries(Object(clients)).flatMap(([name, client]) => expiryFindings(name, client)),
    ...tokenCacheFindings((values as { token_cache?: unknown } | null)?.token_cache),
  ]
}

/** Files are read again when they change, so it may be replaced in time; but nobody should find out by way of a refusal. */
function expiryFindings(name: string, value: unknown): Finding[] {
  const { data: client } = clientOptions.safeParse(value)
  return (client ? expiriesOf(client) : [])
    .filter(({ at }) => at <= Date.now())
    .map(({ path, at }) => ({
      path: ['clients', name, ...path],
      message: `expired on ${new Date(at).toISOString()}; replace it before the client needs a token`,
      warning: true,
    }))
}

/** Tokens lie there encrypted, but a password, and which tokens are in use, can be read on the way. */
function tokenCacheFindings(value: unknown): Finding[] {
  const { data } = tokenCacheOptions.safeParse(value)
  if (!data?.redis || !isPlainRedis(data.redis)) return []
  const message =
    'is reached without TLS; the tokens in it are encrypted, its password on the way is not: use rediss:// or tls, or write allow_plain: true beside its url'
  return [{ path: ['token_cache', 'redis'], message, warning: true }]
}

/** True if the route's token is good only together with its client's certificate. */
function isBound({ token }: RouteOptions, clients: unknown): boolean {
  const client: unknown = token && Object(clients)[token.client]
  const bound = flag().safeParse(Object(client).tls_client_certificate_bound_access_tokens)
  return bound.success && bound.data
}

function upstreamFindings({ upstream, path, token }: RouteOptions, index: number, bound: boolean): Finding[] {
  const at = ['routes', index, 'upstream']
  const findings: Finding[] = []
  if (new URL(upstream.url).protocol !== 'https:') {
    if (bound)
      findings.push({
        path: at,
        message: 'would get a certificate-bound token, which goes out over TLS only; use https',
      })
    if (upstream.tls?.certificate)
      findings.push({
        path: [...at, 'tls', 'certificate'],
        message: 'can only be presented over TLS; use https in url',
      })
  } else if (bound && upstream.tls?.certificate) {
    findings.push({
      path: [...at, 'tls', 'certificate'],
      message:
        'stands beside a token that is bound to the certificate of its client, which goes out instead; remove it',
    })
  }
  if (token && !bound && !upstream.allow_http && isPlainHttp(upstream.url)) {
    findings.push({
      path: at,
      message: 'would get an access token over plain http; use https, or write allow_http: true beside its url',
    })
  }
  if (upstream.strip_prefix !== undefined && !prefixCovers(path, upstream.strip_prefix)) {
    findings.push({
      path: [...at, 'strip_prefix'],
      message: `is not how the paths of ${path} begin, so that it could not be dropped from them`,
    })
  }
  return findings
}

/** The listener on which the route asks for the caller's address. */
function admittingByNetwork({ callers, listener }: RouteOptions, listeners: unknown): string[] {
  return callers?.networks ? [listener ?? defaultListener(listeners)] : []
}

/** The forward proxies, each with the routes that it has and all addresses of this process. */
function proxyFindings(values: unknown, routes: readonly Placed[]): Finding[] {
  const { listeners, admin } = Object(values) as { readonly listeners?: unknown; readonly admin?: unknown }
  const known = Object.entries(Object(listeners)).flatMap(([name, value]) => {
    const { data } = listenerOptions.safeParse(value)
    return data ? [{ name, listener: data }] : []
  })
  const { data: ofAdmin } = adminOptions.safeParse(admin)
  const own = new Map([
    ...known.map(({ name, listener }) => [`listeners.${name}`, listener.address] as const),
    ...(ofAdmin ? [['admin', ofAdmin.address] as const] : []),
  ])
  const proxied = routes.map(({ route, label }) => ({
    ...{ host: route.host, label, listener: route.listener ?? defaultListener(listeners) },
  }))
  return known.flatMap(({ name, listener }) => forwardProxyFindings(listener, { name, routes: proxied, own }))
}

/** As with `public`: whoever is let in uses the gateway's own credentials. */
function everybodyFindings({ callers, require, token }: RouteOptions, index: number): Finding[] {
  if (!token || require || callers?.certificates) return []
  return everybodyAmong(callers?.networks ?? []).map(({ at, is }) => ({
    path: ['routes', index, 'callers', 'networks', ...at],
    message: `${is}, and would hand the gateway's credentials to them; name the networks of the services that need the token`,
  }))
}

/** Nobody could ever come in: the listener never asks for a certificate. */
function certificateFindings({ callers, listener }: RouteOptions, index: number, listeners: unknown): Finding[] {
  if (!callers?.certificates) return []
  const name = listener ?? defaultListener(listeners)
  const { success, data } = listenerOptions.safeParse(listeners === undefined ? {} : Object(listeners)[name])
  if (!success || (data.tls && data.tls.client_certificate !== 'none')) return []
  const message = `can never be met: the listener ${name} asks for no certificate; give it tls with client_certificate: optional or required`
  return [{ path: ['routes', index, 'callers', 'certificates'], message }]
}

/** A route that refuses nobody is never forgotten, nor is what is left of it. */
function untilFindings({ mode, until }: RouteOptions, index: number, now: number): Finding[] {
  if (mode !== 'report' || until === undefined) return []
  const { kind, message } = judgeUntil(until, now)
  return [{ path: ['routes', index, 'until'], message, ...(kind !== 'fault' && { [kind]: true }) }]
}

/** Headers that would never be set are a mistake: somebody waits for them. */
function identityFindings(route: RouteOptions, index: number): Finding[] {
  const at = ['routes', index, 'identity_headers']
  if (route.identity_headers === undefined) return []
  if (!route.require) return [{ path: at, message: 'stands on a route without require, where no token says who calls' }]
  const told = !route.token || route.forwarded_headers === true
  return told
    ? []
    : [
        {
          path: at,
          message:
            'is never sent to the upstream of a token route; write forwarded_headers: true if it is to know who calls',
        },
      ]
}

/** Whoever writes `X-User` for all and `x_user` for one means one header, and nobody sees that the one replaces the other. */
function spellingFindings({ identity_headers: own = {} }: RouteOptions, index: number, all: unknown): Finding[] {
  const spellings = new Map(Object.keys(Object(all)).map((name) => [foldHeaderName(name), name]))
  return Object.keys(own).flatMap((name) => {
    const other = spellings.get(foldHeaderName(name))
    if (other === undefined || other === name) return []
    const message = `is, to servers, the header ${other} of the identity_headers for all routes; write both alike`
    return [{ path: ['routes', index, 'identity_headers', name], message }]
  })
}

function patternFindings(routes: readonly Placed[], listeners: unknown): Finding[] {
  const patterns = routes.map(({ route, label }) => ({
    ...route,
    listener: route.listener ?? defaultListener(listeners),
    label,
    admission: admissionOf(route),
  }))
  return routeFaults(patterns).map(({ index, key, message }) => ({
    path: ['routes', routes[index]?.index ?? 0, key],
    message,
  }))
}
