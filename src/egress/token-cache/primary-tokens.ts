import { createBoundedMap } from '../../base/bounded-map.ts'
import type { Clock } from '../../base/clock.ts'
import type { AccessToken } from '../access-token.ts'
import { parseToken, serialiseToken } from './stored-token.ts'

/** What a worker asks the primary process, about the token of one name. Tokens are text, and stay within the machine. */
export type TokenQuestion =
  | { readonly what: 'get'; readonly name: string }
  | { readonly what: 'set'; readonly name: string; readonly token: string; readonly refused?: string | undefined }
  | { readonly what: 'remove'; readonly name: string; readonly id: string }
  | { readonly what: 'acquire' | 'extend' | 'release'; readonly name: string; readonly holder: string }
  | { readonly what: 'settled'; readonly name: string; readonly milliseconds: number }

/** A token that was found, and the milliseconds for which it is still good. */
export interface FoundToken {
  readonly token: string
  readonly left: number
}

/** The tokens that the workers of one machine share, in the memory of their primary process. */
export interface PrimaryTokens {
  /** A found token or `undefined`, whether a lease was had or kept, or nothing, once there is nothing more to wait for. */
  answer(worker: object, question: TokenQuestion): Promise<FoundToken | boolean | undefined>
  /** The worker has ended: its leases are over, and whoever waits for them goes on at once. */
  forget(worker: object): void
}

interface Kept {
  readonly token: AccessToken
  /** By the time that only goes forward. */
  readonly goodUntil: number
}

interface KeptLease {
  readonly worker: object
  readonly holder: string
  readonly waiting: Set<() => void>
  cancelEnd(): void
}

/** A lease that is not extended ends by itself: its worker may hang. */
const leaseLife = 2000

export function createPrimaryTokens(clock: Clock): PrimaryTokens {
  const tokens = createBoundedMap<Kept>()
  const leases = new Map<string, KeptLease>()

  function current(name: string): Kept | undefined {
    const kept = tokens.get(name)
    if (kept && clock.elapsed() < kept.goodUntil && clock.now() < kept.token.usableUntil) return kept
    tokens.delete(name)
    return undefined
  }

  function get(name: string): FoundToken | undefined {
    const kept = current(name)
    return kept && { token: serialiseToken(kept.token), left: kept.goodUntil - clock.elapsed() }
  }

  function set(name: string, text: string, refused: string | undefined): void {
    const token = parseToken(text)
    if (refused !== undefined) remove(name, refused)
    const left = (token?.usableUntil ?? 0) - clock.now()
    const goodUntil = clock.elapsed() + left
    if (token && left > 0 && goodUntil >= (current(name)?.goodUntil ?? 0)) tokens.set(name, { token, goodUntil })
  }

  function remove(name: string, id: string): void {
    if (tokens.get(name)?.token.id === id) tokens.delete(name)
  }

  function acquire(name: string, worker: object, holder: string): boolean {
    if (leases.has(name)) return false
    const lease: KeptLease = { worker, holder, waiting: new Set(), cancelEnd: () => {} }
    leases.set(name, lease)
    extend(name, lease)
    return true
  }

  function extend(name: string, lease: KeptLease): void {
    lease.cancelEnd()
    lease.cancelEnd = clock.setTimeout(() => end(name, lease), leaseLife)
  }

  function end(name: string, lease: KeptLease): void {
    lease.cancelEnd()
    leases.delete(name)
    for (const wake of lease.waiting) wake()
  }

  /** The lease, if this holder has it still. */
  function own(name: string, holder: string): KeptLease | undefined {
    const lease = leases.get(name)
    return lease?.holder === holder ? lease : undefined
  }

  async function settled(name: string, milliseconds: number): Promise<undefined> {
    const lease = leases.get(name)
    if (!lease) return
    const { promise, resolve } = Promise.withResolvers<void>()
    lease.waiting.add(resolve)
    const cancel = clock.setTimeout(resolve, milliseconds)
    await promise
    cancel()
    lease.waiting.delete(resolve)
  }

  return {
    async answer(worker, question) {
      const { what, name } = question
      if (what === 'get') return get(name)
      if (what === 'set') return void set(name, question.token, question.refused)
      if (what === 'remove') return void remove(name, question.id)
      if (what === 'settled') return settled(name, question.milliseconds)
      if (what === 'acquire') return acquire(name, worker, question.holder)
      const lease = own(name, question.holder)
      if (!lease) return false
      if (what === 'extend') extend(name, lease)
      else end(name, lease)
      return true
    },
    forget(worker) {
      for (const [name, lease] of leases) if (lease.worker === worker) end(name, lease)
    },
  }
}
