export interface RememberOptions {
  /** How many texts are remembered; all further ones are worked out each time. Default: 1000. */
  readonly most?: number
  /** How long such a text may be, in characters. Default: 64. */
  readonly longest?: number
}

/**
 * A pure function of a text, which remembers its results: for what is asked again and again, such as the names of headers.
 * A caller who thinks up names can fill the memory; then it is as if there were none.
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
    if (known.size < most && text.length <= longest) known.set(text, { result })
    return result
  }
}
