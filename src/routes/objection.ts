import { doubtNames, doubtSet } from './doubts.ts'
import { foldings } from './folding.ts'
import { anySegment } from './path-pattern.ts'
import { type PatternOwner, type RoutePattern, routeFor } from './pattern-owner.ts'
import { lenientReadings, type Reading } from './readings.ts'
import { findFoldedOwners, findOwner, type HostIndex } from './route-index.ts'
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
 * serve what is meant for other callers (`/ADMIN` beside `/**`, `/open;/../admin`, a GET that a header makes a DELETE).
 */
export function findObjection<Route extends RoutePattern>(
  ownership: Ownership<Route>,
  request: RoutedRequest,
): string | undefined {
  const { target } = request
  const allowed = doubtSet(...(ownership.route.allow_in_path ?? []))
  const readings =
    (target.doubts & allowed & ~caseDoubt) === 0 ? target.readings : lenientReadings(target.segments, allowed)
  const doubts = doubtNames(readings.reduce((set, reading) => set | reading.doubts, 0))
  if (doubts.length > mostDoubts) return `there are too many doubts about it: ${doubts.join(', ')}`
  for (const reading of [{ segments: target.segments, doubts: 0 }, ...readings]) {
    for (const { owners, folded } of ownersOf(reading, ownership, (allowed & caseDoubt) === 0)) {
      const flaw = request.methods
        .map((method) => flawOf(owners, method, ownership.route))
        .find((found) => found !== undefined)
      if (flaw === undefined || (owners.length === 0 && mayBelongToNone(reading, request, ownership.owner))) continue
      return `read ${wordsFor(reading, folded)}it belongs to ${flaw}`
    }
  }
  return undefined
}

interface Owners<Route> {
  readonly owners: readonly PatternOwner<Route>[]
  readonly folded: boolean
}

/** Everybody who may own a reading: as it is, and with letter case folded in each way that makes a difference. */
function ownersOf<Route>({ segments }: Reading, { index, unfolded }: Ownership<Route>, fold: boolean): Owners<Route>[] {
  const exact = findOwner(index, segments)
  const found: Owners<Route>[] = [{ owners: exact ? [exact] : [], folded: false }]
  for (const [place, foldText] of fold ? foldings.entries() : []) {
    const folded = segments.map(foldText)
    const same = unfolded && folded.every((segment, at) => segment === segments[at])
    if (!same) found.push({ owners: findFoldedOwners(index, folded, place), folded: true })
  }
  return found
}

function flawOf<Route extends RoutePattern>(
  owners: readonly PatternOwner<Route>[],
  method: string,
  strict: Route,
): string | undefined {
  const routes = owners.map((owner) => routeFor(owner, method))
  if (routes.length === 0 || routes.includes(undefined)) return 'no route'
  return routes.every((route) => route?.admission === strict.admission) ? undefined : 'a route that admits others'
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

function wordsFor(reading: Reading, folded: boolean): string {
  const words = doubtNames(reading.doubts | (folded ? caseDoubt : 0))
  return words.length === 0 ? 'with its override header, ' : `another way (${words.join(', ')}), `
}
