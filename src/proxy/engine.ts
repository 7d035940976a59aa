import type { Attempt } from './attempt.ts'

/** What sends requests to upstreams. */
export interface Engine {
  readonly name: string
  /**
   * Sends the request of an attempt, and tells the attempt of its connection, its answer and its errors. Throws nothing.
   * Gives back what is called once, when the attempt is over: with `false`, what is left of the exchange is ended.
   */
  start(attempt: Attempt): (isWhole: boolean) => void
}
