import type { Clock } from '../../src/base/clock.ts'

/** A clock that stands still until a test turns it. */
export interface TestClock extends Clock {
  /** Turns the clock on, firing the timers that fall due on the way, in order; promises settle in between. */
  advance(milliseconds: number): Promise<void>
  /** How many timers are waiting: none should be left once a part is closed. */
  pendingTimers(): number
}

/** A clock that starts at the given time (by default 2026-01-01, in milliseconds since the epoch). */
export function createTestClock(start: number = Date.UTC(2026, 0, 1)): TestClock {
  let now = start
  let timers: readonly Timer[] = []

  function earliestUntil(end: number): Timer | undefined {
    return timers.filter((timer) => timer.due <= end).sort((one, other) => one.due - other.due)[0]
  }

  return {
    now: () => now,
    elapsed: () => now,
    setTimeout(callback, delay) {
      const timer: Timer = { due: now + Math.max(delay, 0), callback }
      timers = [...timers, timer]
      return () => {
        timers = timers.filter((other) => other !== timer)
      }
    },
    async advance(milliseconds) {
      const end = now + milliseconds
      await settle()
      for (let timer = earliestUntil(end); timer; timer = earliestUntil(end)) {
        const due = timer
        timers = timers.filter((other) => other !== due)
        now = Math.max(now, due.due)
        due.callback()
        await settle()
      }
      now = end
      await settle()
    },
    pendingTimers: () => timers.length,
  }
}

interface Timer {
  readonly due: number
  readonly callback: () => void
}

/** Lets everything run that waits for nothing but promises and the next turns of the event loop. */
async function settle(turns = 5): Promise<void> {
  for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve))
}
