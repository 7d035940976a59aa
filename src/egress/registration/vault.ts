import { createHash } from 'node:crypto'
import type { HeldLease } from '../leases.ts'
import type { Sealing } from '../sealing.ts'
import { type RecordStore, StoreFault } from './record-store.ts'
import { type Entry, parseEntry, serialiseEntry } from './registration.ts'

/** What was found of one client, to be changed later. */
export interface Found {
  readonly entry: Entry | undefined
  readonly sealed: string | undefined
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
 * Its name does not depend on any key: under another key it would not be found, and the client be registered once more. It
 * is sealed anew with the first key when it is read, so that an older one can be taken away later.
 */
export function createVault({ store, sealing, client, canonical }: VaultContext): Vault {
  const name = createHash('sha256').update(canonical).digest('base64url')
  const seal = (entry: Entry) => sealing.seal(name, serialiseEntry(entry))

  function open(sealed: string): Entry {
    const text = sealing.open(name, sealed)
    const entry = text === undefined ? undefined : parseEntry(text)
    if (entry) return entry
    // Whoever could make it unreadable could otherwise have the client registered anew as often as they like.
    throw new StoreFault(
      `the registration of ${client} cannot be decrypted; give its key back, or remove ${store.placeOf(name)}`,
    )
  }

  return {
    ready: store.ready,
    async read() {
      const sealed = await store.get(name)
      if (sealed === undefined) return { entry: undefined, sealed }
      const entry = open(sealed)
      if (sealing.isCurrent(sealed)) return { entry, sealed }
      const fresh = seal(entry)
      // It can wait, should there be no writing now.
      const isFresh = await store.replace(name, sealed, fresh).catch(() => false)
      return { entry, sealed: isFresh ? fresh : sealed }
    },
    write: (entry, { sealed }) => store.replace(name, sealed, entry && seal(entry)),
    acquire: () => store.acquire(name),
    settled: (milliseconds) => store.settled(name, milliseconds),
    place: () => store.placeOf(name),
  }
}
