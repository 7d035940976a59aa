import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'

interface Failure {
  readonly error: GatewayError
  readonly until: number
  readonly count: number
}

/** Remembers failures by key: as long as one's pause lasts, it is the answer. */
export interface FailureMemory {
  /** @throws the failure whose pause still lasts, with what is left of it as `Retry-After` */
  check(key: string): void
  /** True once the pause after a failure is over, and nothing has succeeded since. */
  isOnTrial(key: string): boolean
  failed(key: string, error: GatewayError): void
  succeeded(key: string): void
}

const firstPause = 1000
const mostFailures = 10_000

/** The pause is 1 s at first, and doubles up to `longestPause`; a `Retry-After` that asks for more is honoured. */
export function createFailureMemory(clock: Clock, longestPause: number): FailureMemory {
  const failures = new Map<string, Failure>()
  return {
    check(key) {
      const failure = failures.get(key)
      const left = failure ? failure.until - clock.elapsed() : 0
      if (failure && left > 0) throw again(failure.error, left)
    },
    isOnTrial(key) {
      const failure = failures.get(key)
      return failure !== undefined && failure.until <= clock.elapsed()
    },
    failed(key, error) {
      const known = failures.get(key)
      // What was under way when the first one failed fails too, and tells nothing new.
      if (known && known.until > clock.elapsed()) return
      const count = (known?.count ?? 0) + 1
      const pause = Math.max(
        Math.min(firstPause * 2 ** (count - 1), longestPause),
        (error.options.retryAfterSeconds ?? 0) * 1000,
      )
      failures.delete(key)
      failures.set(key, { error, until: clock.elapsed() + pause, count })
      const [oldest] = failures.keys()
      if (failures.size > mostFailures && oldest !== undefined) failures.delete(oldest)
    },
    succeeded: (key) => void failures.delete(key),
  }
}

/** The same failure, told again without asking again. */
function again(error: GatewayError, left: number): GatewayError {
  const retryAfterSeconds = error.status === 503 ? { retryAfterSeconds: Math.ceil(left / 1000) } : {}
  return new GatewayError(error.code, {
    ...error.options,
    ...retryAfterSeconds,
    reason: `remembered: ${error.options.reason ?? error.code}`,
  })
}
