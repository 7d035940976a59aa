import { METHODS } from 'node:http'
import { GatewayError } from '../base/errors.ts'
import { doubts } from './doubts.ts'
import { widestFolding } from './folding.ts'
import { anySegment, writePath } from './path-pattern.ts'
import { methodsOf, parseRoute, type RoutePattern } from './pattern-owner.ts'
import { readRequestTarget } from './request-target.ts'
import { createRouteTable, type RouteTable } from './route-table.ts'

/** Something wrong between routes; `index` is the route's place in the list, `key` the key of it that is told. */
export interface RouteFault {
  readonly index: number
  readonly key: 'path' | 'methods'
  readonly message: string
}

interface Placed {
  readonly route: RoutePattern
  readonly index: number
  readonly parsed: ReturnType<typeof parseRoute>
}

/**
 * What makes routes useless or unsafe together: two that cover the same requests, two patterns that differ in letter
 * case alone and in who may come in, and a pattern all of whose requests would be refused as ambiguous.
 * @throws TypeError for a host or path that the schema refuses
 */
export function routeFaults(routes: readonly RoutePattern[]): RouteFault[] {
  const placed = routes.map((route, index) => ({ route, index, parsed: parseRoute(route) }))
  const listeners = [...Map.groupBy(placed, ({ route }) => route.listener).values()]
  return listeners.flatMap((group) => {
    const clashes = [...repetitions(group), ...caseConflicts(group)]
    // Whether a pattern can be reached is worth telling once no other one is in its way.
    return clashes.length > 0 ? clashes : unreachable(group)
  })
}

function repetitions(group: readonly Placed[]): RouteFault[] {
  const byPattern = [...Map.groupBy(group, ({ parsed }) => parsed.key).values()]
  return byPattern.flatMap((same) =>
    same.flatMap((later, at): RouteFault[] => {
      const earlier = same.slice(0, at).find((other) => sharedMethods(other.route, later.route) !== undefined)
      if (!earlier) return []
      const shared = sharedMethods(earlier.route, later.route) ?? ''
      const message = `covers the same requests as ${labelOf(earlier)}${shared}; give each its own methods, or remove one`
      return [{ index: later.index, key: later.route.methods ? 'methods' : 'path', message }]
    }),
  )
}

/** ` (GET)`, or nothing to name; `undefined` if no request can be both's. */
function sharedMethods(one: RoutePattern, other: RoutePattern): string | undefined {
  if (!one.methods && !other.methods) return ''
  const theirs = methodsOf(other) ?? []
  const shared = (methodsOf(one) ?? []).filter((method) => theirs.includes(method))
  return shared.length > 0 ? ` (${shared.join(', ')})` : undefined
}

function caseConflicts(group: readonly Placed[]): RouteFault[] {
  const byFoldedPattern = [...Map.groupBy(group, foldedKey).values()]
  return byFoldedPattern.flatMap((alike) =>
    alike.flatMap((later, at): RouteFault[] => {
      const earlier = alike.slice(0, at).find((other) => conflicts(other, later))
      if (!earlier) return []
      const message = `differs from the path of ${labelOf(earlier)} in letter case alone, and lets others in; many servers take both for the same`
      return [{ index: later.index, key: 'path', message }]
    }),
  )
}

function labelOf({ route, index }: Placed): string {
  return route.label ?? `routes[${index}]`
}

function conflicts(one: Placed, other: Placed): boolean {
  const overlap = !one.route.methods || !other.route.methods || sharedMethods(one.route, other.route) !== undefined
  return one.parsed.key !== other.parsed.key && one.route.admission !== other.route.admission && overlap
}

function foldedKey({ parsed }: Placed): string {
  const segments = parsed.pattern.segments.map((segment) => (segment === anySegment ? segment : widestFolding(segment)))
  return parsed.host + writePath({ ...parsed.pattern, segments }, { any: '*', rest: '**' })
}

/** Each pattern is asked for with a path of its own, which says what an operator could only find out by trying. */
function unreachable(group: readonly Placed[]): RouteFault[] {
  const table = createRouteTable(group.map(({ route, index }) => ({ ...route, index })))
  const word = unusedWord(group)
  const byPattern = Map.groupBy(group, ({ parsed }) => parsed.key)
  return group.flatMap((placed): RouteFault[] => {
    const { pattern, host, key } = placed.parsed
    const sample = writePath(pattern, { any: word, rest: word })
    const methods = sampleMethods(placed, byPattern.get(key) ?? [])
    const refusals = methods.map((method) => refusal(table, { host: host.replace('*', word), sample, method }))
    const [first] = refusals
    if (!first || refusals.includes(undefined)) return []
    const message = `is never reached: a request for ${sample} is refused, because ${first.message}${remedyFor(first)}`
    return [{ index: placed.index, key: 'path', message }]
  })
}

function remedyFor(refusal: GatewayError): string {
  const named = doubts.filter((doubt) => refusal.message.includes(doubt))
  if (refusal.code !== 'ambiguous_target' || named.length === 0) return ''
  return `; give it allow_in_path: [${named.join(', ')}], or a route with the same callers for the other reading`
}

interface Sample {
  readonly host: string
  readonly sample: string
  readonly method: string
}

function refusal(table: RouteTable<RoutePattern>, { host, sample, method }: Sample): GatewayError | undefined {
  try {
    const target = readRequestTarget(sample, { targetLength: Number.POSITIVE_INFINITY })
    table.match({ host, target, methods: [method] })
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    if (error.status === 400) return error
  }
  return undefined
}

/** The methods that the route takes, one if it takes all that are left. */
function sampleMethods({ route }: Placed, siblings: readonly Placed[]): string[] {
  const listed = siblings.flatMap((sibling) => methodsOf(sibling.route) ?? [])
  return methodsOf(route) ?? METHODS.filter((method) => !listed.includes(method)).slice(0, 1)
}

/** A segment that no route has as a literal, so that it stands for whatever a wildcard takes. */
function unusedWord(group: readonly Placed[]): string {
  const literals = new Set(group.flatMap(({ parsed }) => parsed.pattern.segments))
  let word = 'x'
  while (literals.has(word)) word += 'x'
  return word
}
