import { inspect } from 'node:util'

const redacted = '[redacted]'

/**
 * A value that must never be printed. It is a reader, not a string: each `read()` gives the value as it is now, so that
 * a changed file is used for the next token request. However Node prints it, it prints `[redacted]`.
 */
export class Secret {
  readonly #read: () => string

  constructor(read: () => string) {
    this.#read = read
  }

  read(): string {
    return this.#read()
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
