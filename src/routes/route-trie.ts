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
