import { remember } from '../base/remember.ts'
import { foldings } from './folding.ts'
import { anySegment } from './path-pattern.ts'
import { groupByPattern, type PatternOwner, type RoutePattern } from './pattern-owner.ts'
import { createRouteTrie, findCandidates, findLeaves, insertPattern, type RouteTrie } from './route-trie.ts'

type Trie<Route> = RouteTrie<PatternOwner<Route>>

/** One host's patterns: as they are written, and as each folding of letter case has them. */
interface HostTries<Route> {
  readonly strict: Trie<Route>
  readonly folded: readonly Trie<Route>[]
}

/** The tries that a host's requests are looked up in, the most specific first. */
export type HostIndex<Route> = readonly HostTries<Route>[]

/** Every pattern of a listener, by host. */
export interface RouteIndex<Route> {
  /** The exact host's, then those of `*.suffix`, the longest first, then those of any host. */
  forHost(host: string): HostIndex<Route>
  /** True if no pattern has a letter that folding changes. */
  readonly unfolded: boolean
}

export function createRouteIndex<Route extends RoutePattern>(routes: readonly Route[]): RouteIndex<Route> {
  const groups = Map.groupBy(groupByPattern(routes), (owner) => owner.host)
  const byHost = new Map([...groups].map(([host, owners]) => [host, createHostTries(owners)] as const))
  const everyHost = byHost.get('')
  const always = byHost.size === 1 && everyHost ? [everyHost] : undefined
  const findTries = remember(
    (host): HostIndex<Route> =>
      hostNames(host)
        .map((name) => byHost.get(name))
        .filter((tries) => tries !== undefined),
  )
  return {
    forHost: (host) => always ?? findTries(host),
    unfolded: [...byHost.values()].every(({ strict, folded }) => folded.every((trie) => trie === strict)),
  }
}

function hostNames(host: string): string[] {
  const names = [host]
  for (let at = host.indexOf('.'); at >= 0; at = host.indexOf('.', at + 1)) names.push(`*${host.slice(at)}`)
  return host === '' ? names : [...names, '']
}

function createHostTries<Route>(owners: readonly PatternOwner<Route>[]): HostTries<Route> {
  const strict = createTrie(owners, (literal) => literal)
  const folded = foldings.map((fold) =>
    owners.every((owner) => isFolded(owner, fold)) ? strict : createTrie(owners, fold),
  )
  return { strict, folded }
}

function isFolded<Route>({ pattern }: PatternOwner<Route>, fold: (text: string) => string): boolean {
  return pattern.segments.every((segment) => segment === anySegment || fold(segment) === segment)
}

function createTrie<Route>(owners: readonly PatternOwner<Route>[], read: (literal: string) => string): Trie<Route> {
  const trie: Trie<Route> = createRouteTrie()
  for (const owner of owners) {
    const segments = owner.pattern.segments.map((segment) => (segment === anySegment ? segment : read(segment)))
    insertPattern(trie, { ...owner.pattern, segments }, owner)
  }
  return trie
}

/** The owner of the segments as they are, in the first host's trie that has one. */
export function findOwner<Route>(
  index: HostIndex<Route>,
  segments: readonly string[],
): PatternOwner<Route> | undefined {
  for (const { strict } of index) {
    const owners = findLeaves(strict, segments)
    if (owners) return owners[0]
  }
  return undefined
}

/**
 * Everybody who may own a path of which each segment is any of several texts, among the patterns as they are written or,
 * with the place of a folding in `foldings`, as that one has them.
 */
export function findPossibleOwners<Route>(
  index: HostIndex<Route>,
  choices: readonly ReadonlySet<string>[],
  folding?: number,
): readonly PatternOwner<Route>[] {
  const found: PatternOwner<Route>[] = []
  for (const { strict, folded } of index) {
    const { leaves, certain } = findCandidates((folding === undefined ? undefined : folded[folding]) ?? strict, choices)
    found.push(...leaves)
    if (certain) break
  }
  return found
}
