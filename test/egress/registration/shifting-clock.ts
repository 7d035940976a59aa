import { type Clock, systemClock } from '../../../src/base/clock.ts'

/** Time that goes by itself, and can be skipped: no timer fires sooner for it. */
export interface ShiftingClock extends Clock {
  skip(milliseconds: number): void
}

export function createShiftingClock(): ShiftingClock {
  let skipped = 0
  return {
    now: () => systemClock.now() + skipped,
    elapsed: () => systemClock.elapsed() + skipped,
    setTimeout: systemClock.setTimeout,
    skip(milliseconds) {
      skipped += milliseconds
    },
  }
}
