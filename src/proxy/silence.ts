import type { Clock } from '../base/clock.ts'

/** Waits for one thing at a time, and no longer than told. */
export interface SilenceWatch {
  /** From now on waits this many milliseconds; whatever was waited for before is not any more. */
  expect(milliseconds: number, onSilence: () => void): void
  /** What was waited for has not come, but something else moved: the waiting begins anew. */
  renew(): void
  stop(): void
}

/**
 * A moment that every sign of life moves on. The timer is left as it is meanwhile, and when it is up looks whether
 * anything is late: signs of life are many, and a new timer for each would cost more than all else about them.
 */
export function createSilenceWatch(clock: Clock): SilenceWatch {
  let patience = 0
  let due = 0
  let tell = () => {}
  let cancel: (() => void) | undefined
  let wakesAt = 0

  function wakeAt(moment: number, now: number): void {
    cancel?.()
    wakesAt = moment
    cancel = clock.setTimeout(look, moment - now)
  }
  function look(): void {
    cancel = undefined
    const now = clock.elapsed()
    if (now < due) wakeAt(due, now)
    else tell()
  }
  function renew(): void {
    const now = clock.elapsed()
    due = now + patience
    if (!cancel || due < wakesAt) wakeAt(due, now)
  }
  return {
    expect(milliseconds, onSilence) {
      patience = milliseconds
      tell = onSilence
      renew()
    },
    renew,
    stop() {
      cancel?.()
      cancel = undefined
    },
  }
}
