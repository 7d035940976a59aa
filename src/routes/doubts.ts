/**
 * What makes servers disagree about a path. Each word is also what `allow_in_path` takes. `case` stands for itself: it
 * is not a transformation of the path, but a second way of comparing it.
 */
export const doubts = [
  'case',
  'encoded_slash',
  'empty_segment',
  'params',
  'double_encoding',
  'trailing_slash',
  'trailing_dot',
  'encoded_delimiter',
  'not_utf8',
  'compatibility_form',
] as const

export type Doubt = (typeof doubts)[number]

/** A set of doubts, one bit for each. */
export type DoubtSet = number

export function doubtSet(...words: readonly Doubt[]): DoubtSet {
  return words.reduce((set, word) => set | (1 << doubts.indexOf(word)), 0)
}

export function doubtNames(set: DoubtSet): Doubt[] {
  return doubts.filter((word) => (set & doubtSet(word)) !== 0)
}
