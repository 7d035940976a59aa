/**
 * The ways in which servers compare letters without their case. The widest puts everything together that any of them
 * does (`K` the Kelvin sign with k, `ſ` with s, `ı` with i); the narrower ones tell more apart, so that a literal which
 * only the widest finds cannot hide a wildcard that they would have found.
 */
export const foldings: readonly ((text: string) => string)[] = [
  (text) => text.toUpperCase().toLowerCase().replaceAll('i\u0307', 'i'),
  (text) => text.toLowerCase(),
  (text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()),
]

/** The widest folding: what is different under it is different to every server. */
export const foldCase = (text: string): string => foldings.reduce((folded, fold) => fold(folded), text)
