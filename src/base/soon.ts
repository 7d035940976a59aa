/** Something that is there, or will be. */
export type Soon<Value> = Value | Promise<Value>

/** Goes on with it: at once if it is there. An error that `next` throws then is thrown here. */
export function follow<Value, Next>(value: Soon<Value>, next: (value: Value) => Soon<Next>): Soon<Next> {
  return value instanceof Promise ? value.then(next) : next(value)
}
