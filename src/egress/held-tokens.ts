import { LRUCache } from 'lru-cache'
import type { Clock } from '../base/clock.ts'
import type { AccessToken } from './access-token.ts'

/** A token that this process holds. */
export interface HeldToken {
  readonly token: AccessToken
  /** When it is to be renewed, if it is in use by then, and when it is good no more, by the time that only goes forward. */
  readonly renewAt: number
  readonly goodUntil: number
  /** True once it went out. */
  used: boolean
  /** True while its renewal is planned or under way. */
  renewing: boolean
  cancelTimer(): void
}

const mostTokens = 10_000

/** The tokens in this process, in front of whatever is shared; bounded in number, the longest unused goes first. */
export interface HeldTokens {
  /** The token, if it is still good: by its date, and by how long it has been held, whichever is less. */
  get(key: string): HeldToken | undefined
  /** Keeps the token, and calls back, if anybody is to be called, when it is time to renew it. */
  hold(key: string, token: AccessToken, renewAt: number, onRenewal?: () => void): void
  /** Calls back after a delay, unless another token takes the place before. */
  later(held: HeldToken, delay: number, callback: () => void): void
  drop(key: string): void
  clear(): void
}

export function createHeldTokens(clock: Clock): HeldTokens {
  const tokens = new LRUCache<string, HeldToken>({
    // Its `max` would take the room for all of them at once.
    maxSize: mostTokens,
    sizeCalculation: () => 1,
    dispose: (held) => held.cancelTimer(),
  })
  const later = (held: HeldToken, delay: number, callback: () => void) => {
    held.cancelTimer()
    held.renewing = true
    held.cancelTimer = clock.setTimeout(() => {
      held.renewing = false
      callback()
    }, delay)
  }
  return {
    get(key) {
      const held = tokens.get(key)
      // A clock that was set back does not make an expired token good again.
      return held && clock.now() < held.token.usableUntil && clock.elapsed() < held.goodUntil ? held : undefined
    },
    hold(key, token, renewAt, onRenewal) {
      const [now, elapsed] = [clock.now(), clock.elapsed()]
      const held: HeldToken = {
        token,
        renewAt: elapsed + renewAt - now,
        goodUntil: elapsed + token.usableUntil - now,
        used: false,
        renewing: false,
        cancelTimer: () => {},
      }
      tokens.set(key, held)
      if (onRenewal) later(held, renewAt - now, onRenewal)
    },
    later,
    drop: (key) => void tokens.delete(key),
    clear: () => tokens.clear(),
  }
}
