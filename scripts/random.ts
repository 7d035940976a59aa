/** Numbers from 0 up to 1, the same ones again for the same seed. */
export type Random = () => number

/** Mulberry32. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A seed for one of many things that have a seed in common: each can be made again without those before it. */
export function deriveSeed(seed: number, name: string, index: number): number {
  let mixed = seed ^ 0x811c9dc5
  for (const letter of `${name} ${index}`) mixed = Math.imul(mixed ^ letter.charCodeAt(0), 0x01000193)
  return mixed >>> 0
}

/** A whole number from 0 up to, and without, the limit. */
export function below(random: Random, limit: number): number {
  return Math.floor(random() * limit)
}

export function chance(random: Random, probability: number): boolean {
  return random() < probability
}

/** @throws {TypeError} for an empty list */
export function pick<Item>(random: Random, list: readonly Item[]): Item {
  const index = below(random, list.length)
  if (!(index in list)) throw new TypeError('there is nothing to pick from')
  return list[index] as Item
}
