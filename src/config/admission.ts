import { isOpenToPages } from '../ingress/browser-rule.ts'
import { canonicalPattern } from '../routes/host-matcher.ts'
import type { RouteOptions } from './schema.ts'

type Admitting = Pick<
  RouteOptions,
  'require' | 'callers' | 'public' | 'until' | 'token' | 'browsers' | 'hosts' | 'host' | 'preflight'
>

/**
 * Who may come in by a route, as text: two routes are open to the same callers if and only if theirs are equal. A route in
 * report mode is open to everybody, so what may be read as the path of one that enforces is no path of its own.
 */
export function admissionOf(route: Admitting): string {
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
    preflight: route.preflight,
    require: conditions || require,
    networks: sorted(callers?.networks),
    certificates: callers?.certificates && {
      subjects: sorted(callers.certificates.subjects),
      dns_names: sorted(callers.certificates.dns_names),
      uris: sorted(callers.certificates.uris),
    },
    pages: isOpenToPages(route) ? pagesOf(route) : undefined,
  })
}

/** Which pages of browsers may come in, and by which hosts everybody may. */
function pagesOf({ browsers = false, hosts = [], host }: Admitting) {
  return { browsers, hosts: sorted([...hosts, ...(host === undefined ? [] : [host])].map(canonicalPattern)) }
}

function sorted(values: readonly string[] | undefined): string[] | undefined {
  return values && [...new Set(values)].sort()
}
