import { foldings, widestFolding } from './folding.ts'
import type { PatternOwner } from './pattern-owner.ts'
import type { Reading } from './readings.ts'
import { findPossibleOwners, type HostIndex } from './route-index.ts'

interface Routes<Route> {
  readonly index: HostIndex<Route>
  /** As in the index: then folded segments may be looked up among the patterns as they are written. */
  readonly unfolded: boolean
  /** False where letter case matters. */
  readonly folds: boolean
}

const asIs = (text: string): string => text

/**
 * Everybody who may own a path put together from segments of several readings, with letter case folded or not. A server
 * that folds letters, or cuts parameters, before it decodes does so to a part of the path alone, and a literal that the
 * full reading finds must not hide the wildcard that such a server finds.
 */
export function possibleOwners<Route>(readings: readonly Reading[], routes: Routes<Route>): PatternOwner<Route>[] {
  const alike = [...Map.groupBy(readings, ({ segments }) => segments.length).values()]
  return alike.flatMap((group) => ownersOf(group, routes))
}

function ownersOf<Route>(
  readings: readonly Reading[],
  { index, unfolded, folds }: Routes<Route>,
): readonly PatternOwner<Route>[] {
  if (!folds) return findPossibleOwners(index, choicesOf(readings, [asIs]))
  // What is folded in part is no literal among patterns that are folded, and so is found as it is.
  if (unfolded) return findPossibleOwners(index, choicesOf(readings, [asIs, widestFolding]))
  const folded = foldings.flatMap((fold, place) => findPossibleOwners(index, choicesOf(readings, [fold]), place))
  return [...findPossibleOwners(index, choicesOf(readings, [asIs])), ...folded]
}

/** For each segment, every text that one of the readings, all of one length, has there. */
function choicesOf(readings: readonly Reading[], ways: readonly ((text: string) => string)[]): Set<string>[] {
  const [first] = readings
  const textsAt = (at: number) => readings.flatMap(({ segments }) => ways.map((way) => way(segments[at] ?? '')))
  return (first?.segments ?? []).map((_, at) => new Set(textsAt(at)))
}
