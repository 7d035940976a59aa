import { defaultListener } from './listener.ts'
import type { Finding } from './references.ts'

/** What a route is called after, where it has no name of its own. */
export interface NamedRoute {
  readonly name?: string | undefined
  readonly listener: string
  readonly host?: string | undefined
  readonly path: string
  readonly methods?: readonly string[] | undefined
}

/** The names of the routes, in their order: as given, or host, path and methods, behind the listener where several have the same. */
export function routeNames(routes: readonly NamedRoute[]): string[] {
  const unnamed = routes.filter(({ name }) => name === undefined)
  const alike = Map.groupBy(unnamed, defaultName)
  return routes.map((route) => {
    const own = defaultName(route)
    return route.name ?? (alike.get(own)?.length === 1 ? own : `${route.listener} ${own}`)
  })
}

/** The routes of a configuration, each with its name and its listener. */
export function namedRoutes<Route extends Omit<NamedRoute, 'listener'> & { readonly listener?: string | undefined }>({
  routes,
  listeners,
}: {
  readonly routes: readonly Route[]
  readonly listeners: object
}): (Route & { readonly name: string; readonly listener: string })[] {
  const placed = routes.map((route) => ({ ...route, listener: route.listener ?? defaultListener(listeners) }))
  const names = routeNames(placed)
  return placed.map((route, index) => ({ ...route, name: names[index] ?? '' }))
}

function defaultName({ host = '', path, methods }: NamedRoute): string {
  return `${host}${path}${methods ? ` ${methods.join(',')}` : ''}`
}

/** Route names tell routes apart in logs and metrics. Two defaults are alike only where the routes are. */
export function nameFindings(
  routes: readonly (NamedRoute & { readonly index: number; readonly label: string })[],
): Finding[] {
  const names = routeNames(routes)
  const placed = Map.groupBy(
    routes.map((route, at) => ({ ...route, called: names[at] })),
    ({ called }) => called,
  )
  return [...placed.values()].flatMap((alike) => {
    const byDefault = alike.find(({ name }) => name === undefined)
    const [first] = byDefault ? [byDefault] : alike
    const message = `is the name of ${first?.label} too${byDefault ? ', by default; choose another' : ''}`
    return alike
      .filter((route) => route !== first && route.name !== undefined)
      .map(({ index }) => ({ path: ['routes', index, 'name'], message }))
  })
}
