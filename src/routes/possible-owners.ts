import { foldings } from './folding.ts'
import type { PatternOwner } from './pattern-owner.ts'
import type { Reading } from './readings.ts'
import { findFoldedOwners, findPossibleOwners, type HostIndex } from './route-index.ts'

interface Routes<Route> {
  readonly index: HostIndex<Route>
  /** As in the index: then folded segments may be looked up among the patterns as they are written. */
  readonly unfolded: boolean
}

/** Everybody who may own a reading with its letter case folded, in each way that makes a difference. */
export function foldedOwners<Route>({ segments }: Reading, { index, unfolded }: Routes<Route>): PatternOwner<Route>[] {
  return foldings.flatMap((fold, place) => {
    const folded = segments.map(fold)
    const same = unfolded && folded.every((segment, at) => segment === segments[at])
    return same ? [] : findFoldedOwners(index, folded, place)
  })
}

const asIs = (text: string): string => text

/**
 * Everybody who may own a path put together from segments of several readings. A server that folds letters, or cuts
 * parameters, before it decodes does so to a part of the path alone, and a literal that the full reading finds must not
 * hide the wildcard that such a server finds.
 */
export function mixedOwners<Route>(
  readings: readonly Reading[],
  { index, unfolded, folds }: Routes<Route> & { readonly folds: boolean },
): PatternOwner<Route>[] {
  const alike = [...Map.groupBy(readings, ({ segments }) => segments.length).values()]
  return alike.flatMap((group): readonly PatternOwner<Route>[] => {
    if (!folds) return findPossibleOwners(index, choicesOf(group, [asIs]))
    if (unfolded) return findPossibleOwners(index, choicesOf(group, [asIs, ...foldings]))
    const folded = foldings.flatMap((fold, place) => findPossibleOwners(index, choicesOf(group, [fold]), place))
    return [...findPossibleOwners(index, choicesOf(group, [asIs])), ...folded]
  })
}

/** For each segment, every text that one of the readings has there. */
function choicesOf(readings: readonly Reading[], ways: readonly ((text: string) => string)[]): Set<string>[] {
  const [first] = readings
  const textsAt = (at: number) => readings.flatMap(({ segments }) => ways.map((way) => way(segments[at] ?? '')))
  return (first?.segments ?? []).map((_, at) => new Set(textsAt(at)))
}
