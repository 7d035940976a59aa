import { GatewayError } from './base/errors.ts'
import type { Exchange } from './exchange.ts'
import type { Listener } from './listener.ts'
import type { Reading } from './request-reading.ts'
import type { Route } from './route.ts'
import { passKey } from './routes/host.ts'

/**
 * The one route that owns the request.
 * @throws {GatewayError} as `RouteTable.match` does
 */
export function chooseRoute({ listener, outcome }: Exchange, reading: Reading): Route {
  const { proxied } = reading
  // A route without a host would answer for every host that a caller thinks of.
  const { routes } = proxied && listener.proxy ? listener.proxy : listener
  const passed = proxied && listener.proxy?.passThrough.get(passKey(proxied))
  const preflight = passed ? undefined : findPreflight(routes, reading)
  if (preflight) outcome.preflight = true
  const route = passed ?? preflight ?? routes.match(reading)
  outcome.route = route.name
  return route
}

/**
 * A browser asks whether a page may use a method: with OPTIONS, and without a credential, so that the route of that method
 * would refuse it. Where that one lets such requests on, it is as good as a route of its own, which asks for no token and sends none.
 */
function findPreflight(routes: Listener['routes'], reading: Reading): Route | undefined {
  if (reading.preflightFor === undefined || isListed(routes, reading)) return undefined
  try {
    return routes.match({ ...reading, methods: [reading.preflightFor] }).preflight
  } catch (error) {
    if (error instanceof GatewayError) return undefined
    throw error
  }
}

/** True if a route lists OPTIONS itself, whose callers are then asked for what it says; and for a path that may be one of its own. */
function isListed(routes: Listener['routes'], reading: Reading): boolean {
  try {
    return routes.match(reading).methods?.includes('OPTIONS') ?? false
  } catch (error) {
    if (error instanceof GatewayError) return error.code === 'ambiguous_target'
    throw error
  }
}
