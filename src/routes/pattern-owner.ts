import type { Doubt } from './doubts.ts'
import { parseHostPattern } from './host.ts'
import { type PathPattern, parsePathPattern, writePath } from './path-pattern.ts'
import type { RequestTarget } from './request-target.ts'

/** What of a request decides its route. */
export interface RoutedRequest {
  /** As `readHost` gives it. */
  readonly host: string
  readonly target: RequestTarget
  /** The request's method, and after it every method that an override header names, in upper case. */
  readonly methods: readonly [string, ...string[]]
}

/** What a route says about the requests that are its own. */
export interface RoutePattern {
  readonly listener?: string | undefined
  readonly host?: string | undefined
  readonly path: string
  readonly methods?: readonly string[] | undefined
  readonly allow_in_path?: readonly Doubt[] | undefined
  /** Who may come in, in one canonical form: two routes admit alike if it is the same. */
  readonly admission: string
  /** What messages about it call the route; default is its place, as in `routes[2]`. */
  readonly label?: string | undefined
}

/** A pattern, and the routes that share it and divide its methods among themselves. */
export interface PatternOwner<Route> {
  /** Empty for any host. */
  readonly host: string
  readonly pattern: PathPattern
  readonly byMethod: Map<string, Route>
  /** The route that takes what no other lists. */
  otherwise: Route | undefined
}

/**
 * The routes by pattern. Where two cover the same requests, the first counts; `routeFaults` tells of it.
 * @throws TypeError for a host or path that cannot be parsed, which the schema refuses before
 */
export function groupByPattern<Route extends RoutePattern>(routes: readonly Route[]): PatternOwner<Route>[] {
  const owners = new Map<string, PatternOwner<Route>>()
  for (const route of routes) {
    const { host, pattern, key } = parseRoute(route)
    const owner = owners.get(key) ?? { host, pattern, byMethod: new Map(), otherwise: undefined }
    owners.set(key, owner)
    for (const method of methodsOf(route) ?? []) if (!owner.byMethod.has(method)) owner.byMethod.set(method, route)
    if (route.methods === undefined) owner.otherwise ??= route
  }
  return [...owners.values()]
}

/** The route's host and path, parsed; `key` is the same for the same pattern, however it is spelt. */
export function parseRoute(route: RoutePattern): { host: string; pattern: PathPattern; key: string } {
  const path = parsePathPattern(route.path)
  const host = route.host === undefined ? { host: '' } : parseHostPattern(route.host)
  if ('fault' in path) throw new TypeError(`path ${path.fault}`)
  if ('fault' in host) throw new TypeError(`host ${host.fault}`)
  return {
    host: host.host,
    pattern: path.pattern,
    key: `${host.host}${writePath(path.pattern, { any: '*', rest: '**' })}`,
  }
}

/** What a route lists; GET includes HEAD. */
export function methodsOf(route: RoutePattern): string[] | undefined {
  return route.methods?.flatMap((method) => (method === 'GET' ? ['GET', 'HEAD'] : [method]))
}

export function routeFor<Route>(owner: PatternOwner<Route>, method: string): Route | undefined {
  return owner.byMethod.get(method) ?? owner.otherwise
}
