import { type Alias, type Document, isAlias, isMap, isNode, isScalar, isSeq, type Node } from 'yaml'

/** No configuration needs more of either; whatever reads its values may go into them by recursion. */
const deepest = 64
const mostNodes = 1_000_000

/** Why a document's values cannot be read, and the node that it is about. */
export interface LimitFault {
  readonly node: Node | undefined
  readonly message: string
}

/** A node after every alias in it has been replaced by what it stands for. */
interface Extent {
  readonly nodes: number
  readonly depth: number
}

const nothing: Extent = { nodes: 1, depth: 0 }

/**
 * Aliases that run in a circle, or multiply to more than can be read ("billion laughs"), nesting without end, and merge
 * keys with nothing to merge. Aliases without an anchor are somebody else's.
 */
export function findLimitFault(document: Document): LimitFault | undefined {
  const anchors = new Map<string, { readonly node: Node; extent?: Extent }>()
  let fault: LimitFault | undefined
  const give = (node: unknown, message: string): Extent => {
    fault ??= { node: isNode(node) ? (node as Node) : undefined, message }
    return nothing
  }

  function measureAlias(alias: Alias): Extent {
    const anchor = anchors.get(alias.source)
    if (!anchor) return nothing
    return anchor.extent ?? give(alias, `*${alias.source} stands within what it repeats`)
  }

  const dereference = (node: unknown) => (isAlias(node) ? anchors.get(node.source)?.node : node)

  function measure(node: unknown, level: number): Extent {
    if (isAlias(node)) return measureAlias(node)
    if (level > deepest) return give(node, `is nested deeper than ${deepest} levels`)
    const anchor = isNode(node) && 'anchor' in node && node.anchor ? { node: node as Node } : undefined
    if (anchor && 'anchor' in anchor.node) anchors.set(String(anchor.node.anchor), anchor)
    let { nodes, depth } = nothing
    for (const child of childrenOf(node)) {
      if (fault) return nothing
      const extent = measure(child, level + 1)
      nodes += extent.nodes
      depth = Math.max(depth, extent.depth + 1)
      if (nodes > mostNodes) return give(child, `repeats, with its aliases, to more than ${mostNodes} values`)
      if (depth + level > deepest) return give(child, `is nested, with its aliases, deeper than ${deepest} levels`)
    }
    const extent = { nodes, depth }
    if (anchor) Object.assign(anchor, { extent })
    const unmergeable = mergedBy(node)
      .flatMap((source) => [dereference(source)].flatMap((one) => (isSeq(one) ? one.items : [source])))
      .find((source) => !isMap(dereference(source)))
    if (unmergeable !== undefined && !fault) give(unmergeable, 'is no map, and << takes in maps alone')
    return extent
  }

  measure(document.contents, 0)
  return fault
}

function childrenOf(node: unknown): readonly unknown[] {
  if (isSeq(node)) return node.items
  return isMap(node) ? node.items.flatMap(({ key, value }) => [key, value]) : []
}

/** What a map takes in by its merge keys. */
function mergedBy(node: unknown): readonly unknown[] {
  if (!isMap(node)) return []
  return node.items.filter(({ key }) => isScalar(key) && typeof key.value === 'symbol').map(({ value }) => value)
}
