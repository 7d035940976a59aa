const shortest = 100
const longest = 30_000
/** Whatever lived for so long is no failed attempt. */
const longLife = 60_000

/** How long to wait before something that has ended is started again: twice as long each time, 30 s at most. */
export interface BackOff {
  /** @param lived for how many milliseconds it was there; after a minute the next wait is as short as the first one */
  next(lived: number): number
}

export function createBackOff(): BackOff {
  let wait = shortest
  return {
    next(lived) {
      if (lived >= longLife) wait = shortest
      const now = wait
      wait = Math.min(wait * 2, longest)
      return now
    },
  }
}
