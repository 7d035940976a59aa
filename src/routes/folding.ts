/** Puts all letters together that any server does: `K` the Kelvin sign and k, `ß` and ss, `ı` and i. */
export const widestFolding = (text: string): string => text.toUpperCase().toLowerCase().replaceAll('i\u0307', 'i')

/**
 * The ways in which servers compare letters without their case. The narrower ones tell more apart, so that a literal
 * which only the widest finds cannot hide a wildcard that they would have found.
 */
export const foldings: readonly ((text: string) => string)[] = [
  widestFolding,
  (text) => text.toLowerCase(),
  (text) => text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()),
]
