import { GatewayError } from '../base/errors.ts'
import { findObjection } from './objection.ts'
import { type RoutedRequest, type RoutePattern, routeFor } from './pattern-owner.ts'
import { createRouteIndex, findOwner } from './route-index.ts'

export type { RoutePattern } from './pattern-owner.ts'

/** The routes of one listener, compiled once. */
export interface RouteTable<Route> {
  /**
   * The one route that owns the request, whichever way a server behind would read it.
   * @throws {GatewayError} no_route, method_not_allowed, or ambiguous_target where a reading belongs elsewhere
   */
  match(request: RoutedRequest): Route
}

/** As many characters as a name can have; the Host of a request may have more. */
const longestHost = 253

/** Compiles the routes of one listener. The cost of a match grows with the depth of the path, not with their number. */
export function createRouteTable<Route extends RoutePattern>(routes: readonly Route[]): RouteTable<Route> {
  const { forHost, unfolded } = createRouteIndex(routes)
  return {
    match(request) {
      const { target, methods } = request
      const index = forHost(request.host)
      const owner = findOwner(index, target.segments)
      if (!owner)
        throw new GatewayError('no_route', {
          reason: `the host is ${request.host?.slice(0, longestHost) ?? 'not said'}`,
        })
      const route = routeFor(owner, methods[0])
      if (!route) {
        const allow = [...owner.byMethod.keys()].sort()
        throw new GatewayError('method_not_allowed', {
          reason: `the routes of this path take ${allow.join(', ')}`,
          allow,
        })
      }
      if (target.doubts === 0 && unfolded && methods.length === 1) return route
      const objection = findObjection({ index, owner, route, unfolded }, request)
      if (objection !== undefined) throw new GatewayError('ambiguous_target', { reason: objection })
      return route
    },
  }
}
