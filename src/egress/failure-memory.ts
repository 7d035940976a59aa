import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'

interface Failure {
  readonly error: GatewayError
  readonly at: number
  readonly until: number
  readonly count: number
}

/** Remembers failures by key: as long as one's pause lasts, it is the answer. */
export interface FailureMemory {
  /** @throws the failure whose pause still lasts, with what is left of it as `Retry-After` */
  check(key: string): void
  /** True once the pause after a failure is over, and nothing has succeeded since. */
  isOnTrial(key: string): boolean
  /** Gives back the error as whoever met it is told, with the pause that follows it as `Retry-After`. */
  failed(key: string, error: GatewayError): GatewayError
  /** Forgets the failure, unless it came after this success was asked for: a late answer tells nothing of now. */
  succeeded(key: string, askedAt: number): void
}

const firstPause = 1000

/** The pause is 1 s at first, and doubles up to `longestPause`; a `Retry-After` that asks for more is honoured. */
export function createFailureMemory(clock: Clock, longestPause: number): FailureMemory {
  const failures = createBoundedMap<Failure>()

  /** What was under way when the first one failed fails too, and tells nothing new but how long to stay away. */
  function next(known: Failure | undefined, error: GatewayError): Failure {
    const now = clock.elapsed()
    const asked = now + (error.options.retryAfterSeconds ?? 0) * 1000
    if (known && known.until > now) return { ...known, until: Math.max(known.until, asked) }
    const count = (known?.count ?? 0) + 1
    const pause = Math.min(firstPause * 2 ** (count - 1), longestPause)
    return { error, at: now, until: Math.max(now + pause, asked), count }
  }

  return {
    check(key) {
      const failure = failures.get(key)
      const left = failure ? failure.until - clock.elapsed() : 0
      if (failure && left > 0) throw again(failure.error, left, `remembered: ${reasonOf(failure.error)}`)
    },
    isOnTrial(key) {
      const failure = failures.get(key)
      return failure !== undefined && failure.until <= clock.elapsed()
    },
    failed(key, error) {
      const failure = next(failures.get(key), error)
      failures.set(key, failure)
      return again(error, failure.until - clock.elapsed(), reasonOf(error))
    },
    succeeded(key, askedAt) {
      if ((failures.get(key)?.at ?? Number.POSITIVE_INFINITY) <= askedAt) failures.delete(key)
    },
  }
}

function reasonOf(error: GatewayError): string {
  return error.options.reason ?? error.code
}

/** The same failure, with what is left of its pause where the caller may come back. */
function again(error: GatewayError, left: number, reason: string): GatewayError {
  const retryAfterSeconds = error.status === 503 ? { retryAfterSeconds: Math.ceil(left / 1000) } : {}
  return new GatewayError(error.code, { ...error.options, ...retryAfterSeconds, reason })
}
