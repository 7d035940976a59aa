import type { RouteOptions } from './schema.ts'

/**
 * Who may come in by a route, as text: two routes are open to the same callers if and only if theirs are equal. A route in
 * report mode is open to everybody, so what may be read as the path of one that enforces is no path of its own.
 */
export function admissionOf(route: Pick<RouteOptions, 'require' | 'callers' | 'public' | 'until'>): string {
  const { require, callers } = route
  const conditions = typeof require === 'object' && {
    scopes: sorted(require.scopes),
    any_scope: sorted(require.any_scope),
    claims: Object.entries(require.claims ?? {})
      .map(([name, values]) => [name, sorted(values)] as const)
      .sort(([one], [other]) => (one < other ? -1 : 1)),
    issuers: sorted(require.issuers),
  }
  return JSON.stringify({
    public: route.public,
    until: route.until,
    require: conditions || require,
    networks: sorted(callers?.networks),
  })
}

function sorted(values: readonly string[] | undefined): string[] | undefined {
  return values && [...new Set(values)].sort()
}
