import { KeyFault } from './private-key.ts'
import type { Secret } from './secret.ts'

/** A value made from secrets. */
export interface Derived<Value> {
  /** From the secrets as they are now. */
  read(): Value
  /** From the secrets as they were at most a second ago: for the way of every request. */
  recent(): Value
  /** Why the secrets as they were last read will not do, while the last good value is in force. Never quotes them. */
  fault(): string | undefined
}

/**
 * Makes a value from secrets, at once, and anew only when one of them has changed. Should the new ones not do (a file half
 * written, a certificate replaced before its key), the last good value stays in force until they change again, and
 * `tell` is told why.
 * @throws whatever `make` throws, here and never later
 */
export function deriveFrom<Value, const Names extends string>(
  sources: Readonly<Record<Names, Secret | undefined>>,
  make: (texts: Readonly<Record<Names, string>>) => Value,
  tell: (error: unknown) => void = () => {},
): Derived<Value> {
  const names = Object.keys(sources) as Names[]
  const gather = (read: (secret: Secret) => string) =>
    Object.fromEntries(
      names.map((name) => {
        const secret = sources[name]
        return [name, secret === undefined ? '' : read(secret)]
      }),
    ) as Record<Names, string>
  let texts = gather((secret) => secret.read())
  let value = make(texts)
  let fault: string | undefined
  const from = (now: Record<Names, string>) => {
    if (names.every((name) => now[name] === texts[name])) return value
    texts = now
    try {
      value = make(now)
      fault = undefined
    } catch (error) {
      // The operator is in the middle of a change, or has made a mistake in it: what was good goes on.
      fault = error instanceof KeyFault ? `${error.option} ${error.message}` : 'cannot be read'
      tell(error)
    }
    return value
  }
  return {
    read: () => from(gather((secret) => secret.read())),
    recent: () => from(gather((secret) => secret.recent())),
    fault: () => fault,
  }
}
