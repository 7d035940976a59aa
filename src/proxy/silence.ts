import type { Clock } from '../base/clock.ts'

/** Waits for one thing at a time, and no longer than told. */
export interface SilenceWatch {
  /** From now on waits this many milliseconds; whatever was waited for before is not any more. */
  expect(milliseconds: number, onSilence: () => void): void
  /** What was waited for has not come, but something else moved: the waiting begins anew. */
  renew(): void
  stop(): void
}

/** A timer that is set anew with every sign of life. */
export function createSilenceWatch(clock: Clock): SilenceWatch {
  let cancel = () => {}
  let arm = () => cancel
  return {
    expect(milliseconds, onSilence) {
      arm = () => clock.setTimeout(onSilence, milliseconds)
      this.renew()
    },
    renew() {
      cancel()
      cancel = arm()
    },
    stop: () => cancel(),
  }
}
