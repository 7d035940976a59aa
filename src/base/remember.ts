export interface RememberOptions {
  /** How many texts are remembered at once. Default: 1000. */
  readonly most?: number
  /** How long such a text may be, in characters. Default: 64. */
  readonly longest?: number
}

/**
 * A pure function of a text, which remembers its results: for what is asked again and again, such as the names of headers.
 * When the memory is full it begins anew, so that a caller who thinks up names cannot keep it from the others.
 */
export function remember<Result>(
  work: (text: string) => Result,
  { most = 1000, longest = 64 }: RememberOptions = {},
): (text: string) => Result {
  const known = new Map<string, { readonly result: Result }>()
  return (text) => {
    const found = known.get(text)
    if (found) return found.result
    const result = work(text)
    if (text.length > longest) return result
    if (known.size >= most) known.clear()
    known.set(text, { result })
    return result
  }
}
