import { type Clock, systemClock } from '../../src/base/clock.ts'

/** Time that goes by itself, and can be skipped. */
export interface SkippingClock extends Clock {
  /** Milliseconds. Timers that fall due on the way fire at once. */
  skip(milliseconds: number): void
}

interface Timer {
  readonly due: number
  fire(): void
}

export function createSkippingClock(): SkippingClock {
  let skipped = 0
  const timers = new Set<Timer>()
  const elapsed = () => systemClock.elapsed() + skipped
  return {
    now: () => systemClock.now() + skipped,
    elapsed,
    setTimeout(callback, delay) {
      const timer: Timer = {
        due: elapsed() + delay,
        fire() {
          cancel()
          callback()
        },
      }
      const cancelTimeout = systemClock.setTimeout(timer.fire, delay)
      const cancel = () => {
        timers.delete(timer)
        cancelTimeout()
      }
      timers.add(timer)
      return cancel
    },
    skip(milliseconds) {
      skipped += milliseconds
      for (const timer of [...timers]) if (timer.due <= elapsed()) timer.fire()
    },
  }
}
