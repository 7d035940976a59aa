import { GatewayError } from '../../base/errors.ts'
import type { HeldLease } from '../leases.ts'

/**
 * Where sealed records are kept, for every process that shares them, without expiry. Not to know what is there is a fault,
 * and never the same as that nothing is there.
 */
export interface RecordStore {
  /** Resolves, soon, once it is known whether it is there. */
  ready(): Promise<void>
  /** How a person finds a record. */
  placeOf(name: string): string
  /** @throws {StoreFault} */
  get(name: string): Promise<string | undefined>
  /**
   * Writes a record in the place of the one that was seen there; `undefined` is none, both ways. False if there is another
   * one by now.
   * @throws {StoreFault}
   */
  replace(name: string, seen: string | undefined, next: string | undefined): Promise<boolean>
  /** @throws {StoreFault} */
  acquire(name: string): Promise<HeldLease | { readonly state: 'busy' }>
  /** Resolves once whoever holds the lease is done, or may be, or after so many milliseconds. */
  settled(name: string, milliseconds: number): Promise<void>
}

/** What is kept cannot be read or written now, or cannot be understood. It passes, or a person sees to it. */
export class StoreFault extends GatewayError {
  constructor(reason: string) {
    super('authorization_server_unavailable', { reason, retryAfterSeconds: 1 })
  }
}
