import { GatewayError } from '../../src/base/errors.ts'
import { readHost } from '../../src/routes/host.ts'
import type { RoutePattern } from '../../src/routes/pattern-owner.ts'
import { readRequestTarget } from '../../src/routes/request-target.ts'
import { createRouteTable } from '../../src/routes/route-table.ts'

const limits = { targetLength: 8192 }

/** What a listener with these routes says to a request: the route's label or path, or the status and code. */
export function askWith(routes: readonly RoutePattern[]) {
  const table = createRouteTable(routes)
  return (target: string, { method = 'GET', overrides = [], host = '' }: AskOptions = {}): string => {
    try {
      const request = {
        host: readHost(host),
        target: readRequestTarget(target, limits),
        methods: [method, ...overrides] as const,
      }
      const route = table.match(request)
      return route.label ?? route.path
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      const allow = error.options.allow ? ` ${error.options.allow.join(', ')}` : ''
      return `${error.status} ${error.code}${allow}`
    }
  }
}

export interface AskOptions {
  readonly method?: string
  readonly overrides?: readonly string[]
  readonly host?: string
}

/** Routes from `path` and who may come in. */
export function routesFor(admissions: Readonly<Record<string, string>>): RoutePattern[] {
  return Object.entries(admissions).map(([path, admission]) => ({ path, admission }))
}
