/** It is the one, until it releases; the lease is extended meanwhile, and ends by itself should the process die. */
export interface HeldLease {
  readonly state: 'held'
  release(): Promise<void>
}

/** What one process gets when it wants to be the one that does something. */
export type Lease =
  | HeldLease
  /** Another process is at it. */
  | { readonly state: 'busy' }
  /** There is nobody to share with. */
  | { readonly state: 'unavailable' }

/**
 * All of the names or none: while encryption keys are exchanged some know a thing by one name only. All in one order, so
 * that nobody waits in a ring.
 */
export async function acquireAll(names: readonly string[], take: (name: string) => Promise<Lease>): Promise<Lease> {
  const held: HeldLease[] = []
  const release = async () => void (await Promise.all(held.map((lease) => lease.release())))
  for (const name of names.toSorted()) {
    const lease = await take(name)
    if (lease.state === 'held') held.push(lease)
    else {
      await release()
      return lease
    }
  }
  return { state: 'held', release }
}
