import { LRUCache } from 'lru-cache'

const mostEntries = 10_000

/** A map that does not grow for ever: past 10,000 entries, or so many, the one goes that nobody looked at for longest. */
export type BoundedMap<Value extends NonNullable<unknown>> = Pick<
  LRUCache<string, Value>,
  'get' | 'has' | 'set' | 'delete'
>

export function createBoundedMap<Value extends NonNullable<unknown>>(most = mostEntries): BoundedMap<Value> {
  // Its `max` would take the room for all of them at once.
  return new LRUCache<string, Value>({ maxSize: most, sizeCalculation: () => 1 })
}
