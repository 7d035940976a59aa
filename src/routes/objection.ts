import { type DoubtSet, doubtNames, doubtSet } from './doubts.ts'
import { anySegment } from './path-pattern.ts'
import { type PatternOwner, type RoutedRequest, type RoutePattern, routeFor } from './pattern-owner.ts'
import { possibleOwners } from './possible-owners.ts'
import { lenientReadings, type Reading } from './readings.ts'
import { findOwner, type HostIndex } from './route-index.ts'

/** Who owns a request as it is read strictly, and what is needed to ask after the other readings. */
export interface Ownership<Route> {
  readonly index: HostIndex<Route>
  readonly owner: PatternOwner<Route>
  readonly route: Route
  /** As in the index. */
  readonly unfolded: boolean
}

const mostDoubts = 3
const caseDoubt = doubtSet('case')
const slashDoubt = doubtSet('encoded_slash')

/**
 * Why a request cannot go where its strict reading leads, if so: a server behind that reads it in another way would
 * serve what is meant for other callers (`/ADMIN` beside `/**`, `/open//admin`, a GET that a header makes a DELETE).
 */
export function findObjection<Route extends RoutePattern>(
  ownership: Ownership<Route>,
  request: RoutedRequest,
): string | undefined {
  const { target } = request
  const allowed = doubtSet(...(ownership.route.allow_in_path ?? []))
  const lenient =
    (target.doubts & allowed & ~caseDoubt) === 0 ? target.readings : lenientReadings(target.segments, allowed)
  const doubts = lenient.reduce((set, reading) => set | reading.doubts, 0)
  const names = doubtNames(doubts)
  if (names.length > mostDoubts) return `there are too many doubts about it: ${names.join(', ')}`
  const readings = [{ segments: target.segments, doubts: 0 }, ...lenient]
  const folds = (allowed & caseDoubt) === 0
  for (const reading of readings) {
    const exact = findOwner(ownership.index, reading.segments)
    if (!exact && mayBelongToNone(reading, request, ownership.owner)) continue
    const flaw = exact ? flawOf([exact], request, ownership) : 'no route'
    if (flaw !== undefined) return told(reading.doubts, flaw)
  }
  const flaw = flawOf(possibleOwners(readings, { ...ownership, folds }), request, ownership)
  return flaw && told(folds ? doubts | caseDoubt : doubts, flaw)
}

function flawOf<Route extends RoutePattern>(
  owners: readonly PatternOwner<Route>[],
  { methods }: RoutedRequest,
  { route }: Ownership<Route>,
): string | undefined {
  const others = methods.flatMap((method) => owners.map((owner) => routeFor(owner, method)))
  if (others.includes(undefined)) return 'no route'
  return others.every((other) => other?.admission === route.admission) ? undefined : 'a route that admits others'
}

/** `/projects/group%2Fname` under `/projects/*`: the slash is part of a name, and the route takes any name. */
function mayBelongToNone<Route>(
  reading: Reading,
  { target }: RoutedRequest,
  { pattern }: PatternOwner<Route>,
): boolean {
  if (reading.doubts !== slashDoubt) return false
  return target.segments.every(
    (segment, at) => !segment.includes('\\') && (!segment.includes('/') || pattern.segments[at] === anySegment),
  )
}

function told(doubts: DoubtSet, whose: string): string {
  const how = doubts === 0 ? 'with its override header' : `another way (${doubtNames(doubts).join(', ')})`
  return `read ${how}, it belongs to ${whose}`
}
