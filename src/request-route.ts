import { GatewayError } from './base/errors.ts'
import type { Exchange } from './exchange.ts'
import type { Reading } from './request-reading.ts'
import { passKey } from './routes/host.ts'
import type { Listener, Route } from './wiring.ts'

/**
 * The one route that owns the request.
 * @throws {GatewayError} as `RouteTable.match` does
 */
export function chooseRoute({ listener, outcome }: Exchange, reading: Reading): Route {
  const route = findRoute(listener, reading)
  outcome.route = route.name
  return route
}

function findRoute(listener: Listener, reading: Reading): Route {
  const { proxied } = reading
  const passed = proxied && listener.proxy?.passThrough.get(passKey(proxied))
  if (passed) return passed
  // A route without a host would answer for every host that a caller thinks of.
  const { routes } = proxied && listener.proxy ? listener.proxy : listener
  return findPreflight(routes, reading) ?? routes.match(reading)
}

/**
 * A browser asks whether a page may use a method: with OPTIONS, and without a credential, so that the route of that method
 * would refuse it. Where that one lets such requests on, it is as good as a route of its own, which asks for no token and sends none.
 */
function findPreflight(routes: Listener['routes'], reading: Reading): Route | undefined {
  if (reading.preflightFor === undefined) return undefined
  try {
    return routes.match({ ...reading, methods: [reading.preflightFor] }).preflight
  } catch (error) {
    if (error instanceof GatewayError) return undefined
    throw error
  }
}
