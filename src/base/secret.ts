import { inspect } from 'node:util'

const redacted = '[redacted]'

/**
 * A value that must never be printed. It is a reader, not a string: each `read()` gives the value as it is now, so that
 * a changed file is used for the next token request. However Node prints it, it prints `[redacted]`.
 */
export class Secret {
  readonly #read: () => string
  readonly #isStale: () => boolean
  #recent: { value: string; readAt: number } | undefined
  /** True if the value itself stands in the configuration file. */
  readonly plainText: boolean

  constructor(
    read: () => string,
    options: { readonly plainText?: boolean; readonly isStale?: (() => boolean) | undefined } = {},
  ) {
    this.#read = read
    this.plainText = options.plainText ?? false
    this.#isStale = options.isStale ?? (() => false)
  }

  /** The value as it is now. */
  read(): string {
    const value = this.#read()
    this.#recent = { value, readAt: performance.now() }
    return value
  }

  /** The value as it was at most a second ago: for the way of every request, where a look at a file costs too much. */
  recent(): string {
    const recent = this.#recent
    return recent && performance.now() - recent.readAt < 1000 ? recent.value : this.read()
  }

  /** True if the file of the value was gone or empty when it was read last: the value is what stood there before. */
  isStale(): boolean {
    return this.#isStale()
  }

  toString(): string {
    return redacted
  }

  toJSON(): string {
    return redacted
  }

  [Symbol.toPrimitive](): string {
    return redacted
  }

  [inspect.custom](): string {
    return redacted
  }

  get [Symbol.toStringTag](): string {
    return redacted
  }
}
