import { anySegment, type PathPattern } from './path-pattern.ts'

/**
 * Patterns by their segments. Which pattern owns a path is found by walking down, a literal before `*` before `**`, so
 * that the cost grows with the depth of the path and not with the number of routes.
 */
export interface RouteTrie<Leaf> {
  readonly literals: Map<string, RouteTrie<Leaf>>
  any: RouteTrie<Leaf> | undefined
  /** What ends here. More than one where patterns differ in letter case alone. */
  readonly here: Leaf[]
  /** What owns everything from here on. */
  readonly rest: Leaf[]
}

export function createRouteTrie<Leaf>(): RouteTrie<Leaf> {
  return { literals: new Map(), any: undefined, here: [], rest: [] }
}

export function insertPattern<Leaf>(root: RouteTrie<Leaf>, pattern: PathPattern, leaf: Leaf): void {
  const node = pattern.segments.reduce(
    (at, segment) => (segment === anySegment ? anyChild(at) : literalChild(at, segment)),
    root,
  )
  const leaves = pattern.rest ? node.rest : node.here
  leaves.push(leaf)
}

function anyChild<Leaf>(node: RouteTrie<Leaf>): RouteTrie<Leaf> {
  node.any ??= createRouteTrie()
  return node.any
}

function literalChild<Leaf>(node: RouteTrie<Leaf>, literal: string): RouteTrie<Leaf> {
  const known = node.literals.get(literal)
  if (known) return known
  const child = createRouteTrie<Leaf>()
  node.literals.set(literal, child)
  return child
}

/** The leaves of the most specific pattern that covers the segments. */
export function findLeaves<Leaf>(
  node: RouteTrie<Leaf>,
  segments: readonly string[],
  depth = 0,
): readonly Leaf[] | undefined {
  const segment = segments[depth]
  if (segment === undefined) return node.here.length > 0 ? node.here : restOf(node)
  const literal = node.literals.get(segment)
  const found = literal && findLeaves(literal, segments, depth + 1)
  if (found) return found
  // `*` is never nothing: `/a//b` must not pass for `/a/*\/b`.
  const any = segment === '' ? undefined : node.any
  return (any && findLeaves(any, segments, depth + 1)) ?? restOf(node)
}

function restOf<Leaf>(node: RouteTrie<Leaf>): readonly Leaf[] | undefined {
  return node.rest.length > 0 ? node.rest : undefined
}

/** What may own a path that is not read in one way only. */
interface Candidates<Leaf> {
  readonly leaves: readonly Leaf[]
  /** False if for some choice no pattern covers the path. */
  readonly certain: boolean
}

/** The leaves of every pattern that may be the most specific one, where each segment is any of several texts. */
export function findCandidates<Leaf>(
  node: RouteTrie<Leaf>,
  choices: readonly ReadonlySet<string>[],
  depth = 0,
): Candidates<Leaf> {
  const texts = choices[depth]
  if (texts === undefined && node.here.length > 0) return { leaves: node.here, certain: true }
  const literals = [...(texts ?? [])].map((text) => candidatesBelow(node.literals.get(text), choices, depth))
  const leaves = literals.flatMap((candidates) => candidates.leaves)
  if (literals.length > 0 && literals.every(({ certain }) => certain)) return { leaves, certain: true }
  const takesAny = texts !== undefined && !(texts.size === 1 && texts.has(''))
  const any = candidatesBelow(takesAny ? node.any : undefined, choices, depth)
  if (any.certain && !texts?.has('')) return { leaves: [...leaves, ...any.leaves], certain: true }
  return { leaves: [...leaves, ...any.leaves, ...node.rest], certain: node.rest.length > 0 }
}

function candidatesBelow<Leaf>(
  child: RouteTrie<Leaf> | undefined,
  choices: readonly ReadonlySet<string>[],
  depth: number,
): Candidates<Leaf> {
  return child ? findCandidates(child, choices, depth + 1) : { leaves: [], certain: false }
}
