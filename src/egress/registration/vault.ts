import type { HeldLease } from '../leases.ts'
import type { Sealing } from '../sealing.ts'
import { type RecordStore, StoreFault } from './record-store.ts'
import { type Entry, parseEntry, serialiseEntry } from './registration.ts'

/** What was found of one client, to be changed later. */
export interface Found {
  readonly entry: Entry | undefined
  /** What stood under each name. */
  readonly sealed: ReadonlyMap<string, string | undefined>
}

/** The registration of one client, sealed, in what its processes share. */
export interface Vault {
  ready(): Promise<void>
  /** @throws {StoreFault} if it cannot be had, or is there and cannot be decrypted */
  read(): Promise<Found>
  /** Keeps an entry, or with `undefined` none, in the place of what was found. False if another one is there by now. */
  write(entry: Entry | undefined, found: Found): Promise<boolean>
  acquire(): Promise<HeldLease | { readonly state: 'busy' }>
  settled(milliseconds: number): Promise<void>
  /** How a person finds it. */
  place(): string
}

export interface VaultContext {
  readonly store: RecordStore
  readonly sealing: Sealing
  readonly client: string
  /** What tells the client of this server from any other one. */
  readonly canonical: string
}

/**
 * A copy lies under the name of each key, sealed with that key: whoever knows one of them finds it while they are
 * exchanged.
 */
export function createVault({ store, sealing, client, canonical }: VaultContext): Vault {
  const names = sealing.namesOf(canonical)
  const seal = (name: string, entry: Entry) => sealing.seal(name, serialiseEntry(entry), names.indexOf(name))

  function open(name: string, sealed: string): Entry {
    const text = sealing.open(name, sealed)
    const entry = text === undefined ? undefined : parseEntry(text)
    if (entry) return entry
    // Whoever could make it unreadable could otherwise have the client registered anew as often as they like.
    throw new StoreFault(
      `the registration of ${client} cannot be decrypted; give its key back, or remove ${store.placeOf(name)}`,
    )
  }

  /** A key that is new has no copy yet. It can wait, should there be no writing now. */
  async function complete(entry: Entry, sealed: Map<string, string | undefined>): Promise<void> {
    for (const name of names.filter((each) => sealed.get(each) === undefined)) {
      const copy = seal(name, entry)
      if (await store.replace(name, undefined, copy).catch(() => false)) sealed.set(name, copy)
    }
  }

  return {
    ready: store.ready,
    async read() {
      const sealed = new Map<string, string | undefined>()
      for (const name of names) sealed.set(name, await store.get(name))
      const entries = [...sealed].flatMap(([name, text]) => (text === undefined ? [] : [open(name, text)]))
      const entry = entries.reduce<Entry | undefined>(
        (newest, next) => (newest && newest.changedAt >= next.changedAt ? newest : next),
        undefined,
      )
      if (entry) await complete(entry, sealed)
      return { entry, sealed }
    },
    async write(entry, { sealed }) {
      const written: boolean[] = []
      for (const [name, seen] of sealed) written.push(await store.replace(name, seen, entry && seal(name, entry)))
      return written.every(Boolean)
    },
    acquire: () => store.acquire(names),
    settled: (milliseconds) => store.settled(names, milliseconds),
    place: () => names.map(store.placeOf).join(' and '),
  }
}
