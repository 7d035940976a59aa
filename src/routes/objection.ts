import { type DoubtSet, doubtNames, doubtSet } from './doubts.ts'
import { anySegment } from './path-pattern.ts'
import { type PatternOwner, type RoutePattern, routeFor } from './pattern-owner.ts'
import { foldedOwners, mixedOwners } from './possible-owners.ts'
import { lenientReadings, type Reading } from './readings.ts'
import { findOwner, type HostIndex } from './route-index.ts'
import type { RoutedRequest } from './route-table.ts'

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
    const objection = objectionTo(reading, { ownership, request, folds })
    if (objection !== undefined) return objection
  }
  const mixed = flawOf(mixedOwners(readings, { ...ownership, folds }), request, ownership)
  return (
    mixed &&
    `read in part another way (${doubtNames(doubts | (folds ? caseDoubt : 0)).join(', ')}), it belongs to ${mixed}`
  )
}

interface Question<Route> {
  readonly ownership: Ownership<Route>
  readonly request: RoutedRequest
  readonly folds: boolean
}

/** Asks after one reading: as it is, and with its letter case folded. */
function objectionTo<Route extends RoutePattern>(reading: Reading, question: Question<Route>): string | undefined {
  const { ownership, request, folds } = question
  const exact = findOwner(ownership.index, reading.segments)
  if (!exact) return mayBelongToNone(reading, request, ownership.owner) ? undefined : told(reading.doubts, 'no route')
  const flaw = flawOf([exact], request, ownership)
  if (flaw !== undefined) return told(reading.doubts, flaw)
  const folded = folds ? flawOf(foldedOwners(reading, ownership), request, ownership) : undefined
  return folded && told(reading.doubts | caseDoubt, folded)
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
