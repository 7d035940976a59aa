/** A parsed claim path: the member names to follow, from the claims inwards. */
export type ClaimPath = readonly string[]

const step = /\.?([^.[\]"]+)|\["((?:[^"\\]|\\["\\])*)"\]/y

/** Parses `a.b["c.d"]` into `["a", "b", "c.d"]`; `undefined` where it is no such path. */
export function parseClaimPath(text: string): ClaimPath | undefined {
  const path: string[] = []
  step.lastIndex = 0
  while (step.lastIndex < text.length) {
    const start = step.lastIndex
    const match = step.exec(text)
    if (!match || (start === 0 && text[0] === '.')) return undefined
    if (start > 0 && match[1] !== undefined && text[start] !== '.') return undefined
    path.push(match[1] ?? JSON.parse(`"${match[2]}"`))
  }
  return path.length > 0 ? path : undefined
}

/** The value at the path, or `undefined`; only own members are followed. */
export function readClaim(claims: object, path: ClaimPath): unknown {
  let value: unknown = claims
  for (const name of path) {
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, name))
      return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value
}
