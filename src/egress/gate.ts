import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'

/** Lets so many through at once. */
export interface Gate {
  /**
   * Waits for a place, and gives back the function that returns it, which is told how it went.
   * @throws {GatewayError} `authorization_server_unavailable` after ten seconds in vain, and whatever closes the gate
   */
  enter(): Promise<(outcome: 'well' | 'badly') => void>
}

/** So many requests at once meet a failure that is not known yet. */
const fewPlaces = 4
/** As long as all goes well, there is a place more after each answer, up to so many. */
const mostPlaces = 32
/** What went well longer ago than this tells nothing. */
const trust = 10_000
const longestWait = 10_000

/** A gate that `isOnTrial` opens for one alone, and closes for all by throwing. */
export function createGate(clock: Clock, isOnTrial: () => boolean): Gate {
  let running = 0
  let places = fewPlaces
  let wentWellAt = Number.NEGATIVE_INFINITY
  const waiting = new Set<() => void>()

  const trusted = () => (clock.elapsed() - wentWellAt < trust ? places : fewPlaces)
  const placesNow = () => (isOnTrial() ? 1 : trusted())

  function leave(outcome: 'well' | 'badly'): void {
    running--
    places = outcome === 'well' ? Math.min(trusted() + 1, mostPlaces) : fewPlaces
    if (outcome === 'well') wentWellAt = clock.elapsed()
    for (const wake of waiting) wake()
  }

  async function nextLeaving(milliseconds: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    waiting.add(resolve)
    const cancel = clock.setTimeout(resolve, milliseconds)
    await promise
    cancel()
    waiting.delete(resolve)
  }

  return {
    async enter() {
      const until = clock.elapsed() + longestWait
      while (running >= placesNow()) {
        const left = until - clock.elapsed()
        if (left <= 0) throw crowded()
        await nextLeaving(left)
      }
      running++
      return leave
    },
  }
}

function crowded(): GatewayError {
  const reason = 'too many token requests wait for this endpoint'
  return new GatewayError('authorization_server_unavailable', { reason, retryAfterSeconds: 1 })
}
