/** The time, as an argument, so that tests can turn it. */
export interface Clock {
  /** Milliseconds since the epoch: for what others date. It can be set, forward and back. */
  now(): number
  /** Milliseconds since some moment: for how long something took or lasts. It only ever goes forward. */
  elapsed(): number
  /** Calls back once after `delay` milliseconds; never keeps the process alive. Returns its cancellation. */
  setTimeout(callback: () => void, delay: number): () => void
}

/** A Node timer above this fires at once. */
const longestTimer = 2 ** 31 - 1

export const systemClock: Clock = {
  now: Date.now,
  elapsed: () => performance.now(),
  setTimeout(callback, delay) {
    const timer = setTimeout(callback, Math.min(Math.max(delay, 0), longestTimer))
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** The clock may be set, and a machine may sleep, while a timer runs. */
const longestWait = 3_600_000

/** Calls back once at a moment, in milliseconds since the epoch, however far away it is. Returns its cancellation. */
export function callAt(clock: Clock, moment: number, callback: () => void): () => void {
  const wait = () => clock.setTimeout(look, Math.min(Math.max(moment - clock.now(), 0), longestWait))
  function look(): void {
    if (clock.now() >= moment) callback()
    else cancel = wait()
  }
  let cancel = wait()
  return () => cancel()
}
