import type { Clock } from '../../base/clock.ts'

const ticks = 5

/** It took too long. */
class TimeoutError extends Error {
  override readonly name = 'TimeoutError'
  readonly code = 'TIMEOUT'
}

/**
 * Waits for the work, for at most so many milliseconds in which this process itself had time: while it was too busy to
 * look, an answer may have come, and slowness of its own is no fault of the other side.
 * @throws {TimeoutError} and whatever the work throws
 */
export async function within<Value>(milliseconds: number, work: Promise<Value>, clock: Clock): Promise<Value> {
  const { promise: over, reject } = Promise.withResolvers<never>()
  let left = ticks
  let cancel = () => {}
  // After the timers of a turn comes what has arrived, and only then what setImmediate runs.
  const tick = () => {
    cancel = clock.setTimeout(() => {
      const immediate = setImmediate(() => {
        left -= 1
        if (left > 0) tick()
        else reject(new TimeoutError('it took too long'))
      })
      cancel = () => clearImmediate(immediate)
    }, milliseconds / ticks)
  }
  tick()
  try {
    return await Promise.race([work, over])
  } finally {
    cancel()
  }
}
