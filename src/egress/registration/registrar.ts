import { callAt } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import { errorTrail } from '../../base/log.ts'
import { type GrantedClient, grantedClient } from './granted-client.ts'
import { StoreFault } from './record-store.ts'
import { type Entry, isRegistration, type Registration, rotationTime } from './registration.ts'
import { createRegistrationActs, type RegistrationContext } from './registration-acts.ts'
import type { Found } from './vault.ts'

/** Keeps one client registered: once for all processes that share its vault. */
export interface Registrar {
  /**
   * Resolves once the client is known: from the vault, or by registering it. `undefined` where it is known already.
   * @throws {GatewayError}
   */
  prepare(): Promise<void> | undefined
  /** @throws {TypeError} before it is known */
  current(): GrantedClient
  /** The client, as it is known here, was refused: takes up what another process has made of it, or registers it anew. */
  renew(): Promise<void>
  /** True if what is configured is not any more what the client was registered as. */
  isOutdated(): boolean
  /** Changes the registration to what is configured now. @throws {GatewayError} also where the server has no such thing */
  update(): Promise<void>
  /** Deletes the client at the server, and what is kept of it. False if there is nothing. @throws {GatewayError} */
  remove(): Promise<boolean>
  /** How a person finds what is kept. */
  place(): string
  close(): Promise<void>
}

/** How long one waits for another process at a time, and in all. */
const leasePatience = 2000
const longestPatience = 30_000
/** A rotation that failed is tried again after this, and after twice as long each time. */
const firstRetry = 1000
const longestRetry = 60_000

export function createRegistrar(context: RegistrationContext): Registrar {
  const { name, client, server, vault, clock, log } = context
  const acts = createRegistrationActs(context)
  const told = { client: name, authorization_server: server.name }
  let held: GrantedClient | undefined
  let flight: Promise<void> | undefined
  /** The registration whose secret an update did not renew. */
  let inert: string | undefined
  let closed = false
  let cancelTimer = () => {}

  /** One thing at a time: whoever comes meanwhile waits for the same. */
  function alone(work: () => Promise<void>): Promise<void> {
    flight ??= work().finally(() => {
      flight = undefined
    })
    return flight
  }

  function current(): GrantedClient {
    if (!held) throw new TypeError(`it is not known yet who the client ${name} is`)
    return held
  }

  function adopt(registration: Registration): void {
    if (held?.registration.id === registration.id) return
    held = grantedClient(client, registration)
    for (const reason of held.warnings) log.warn({ ...told, reason }, 'narrower registration')
    if (registration.asked !== acts.asked) log.warn(told, 'registered with other metadata than is configured now')
    if (!closed) plan(registration)
  }

  function plan(registration: Registration): void {
    cancelTimer()
    const time = rotationTime(registration)
    const rotate = () => void rotateInTime(firstRetry)
    if (time === undefined) return
    // At once would be in a loop, should nothing come of it.
    cancelTimer = time > clock.now() ? callAt(clock, time, rotate) : clock.setTimeout(rotate, firstRetry)
  }

  /**
   * Makes a change as the only process that does, unless another one has made one since: then what is kept is not what was
   * `seen`, and is taken up instead.
   */
  async function change(seen: string | undefined, make: (found: Found) => Promise<void>): Promise<void> {
    await withLease(async (found) => {
      if (!takeUp(found.entry, seen)) await make(found)
    })
  }

  async function withLease<Value>(work: (found: Found) => Promise<Value>): Promise<Value> {
    const patience = clock.elapsed() + longestPatience
    for (;;) {
      const lease = await vault.acquire()
      if (lease.state === 'held') {
        try {
          return await work(await vault.read())
        } finally {
          await lease.release()
        }
      }
      if (closed || clock.elapsed() >= patience)
        throw new StoreFault(`another process is registering the client ${name}`)
      await vault.settled(leasePatience)
    }
  }

  function takeUp(entry: Entry | undefined, seen: string | undefined): boolean {
    if (!entry || !isRegistration(entry) || entry.id === seen) return false
    adopt(entry)
    return true
  }

  async function obtain(): Promise<void> {
    await vault.ready()
    const { entry } = await vault.read()
    if (!takeUp(entry, undefined)) await change(undefined, async (found) => adopt(await acts.register(found)))
    // With an expired secret nothing can be had: to wait is better than to be refused.
    if (hasExpired(current().registration, clock.now())) await rotate().catch(tellFailure)
  }

  /** Under the lease even for a look: whoever has it may be about to keep what the server has changed already. */
  async function renew(): Promise<void> {
    const { registration } = current()
    await change(registration.id, async (found) => adopt(await acts.register(found)))
  }

  /** A new secret by a change of the registration, or else by another registration. */
  async function rotate(): Promise<void> {
    const { registration } = current()
    await change(registration.id, async (found) => {
      if (!found.entry) throw new StoreFault(`the registration of ${name} is kept no more`)
      if (registration.answer.management && inert !== registration.id) {
        const updated = await acts.update(found, registration).catch(passOver)
        if (updated) adopt(updated)
        if (updated && isRenewed(registration, updated)) return
        inert = current().registration.id
      }
      adopt(await acts.register(await vault.read()))
    })
  }

  async function rotateInTime(pause: number): Promise<void> {
    try {
      await alone(rotate)
      // It may have been something else that was waited for.
      const time = rotationTime(current().registration)
      if (!closed && time !== undefined && time <= clock.now()) plan(current().registration)
    } catch (error) {
      if (closed) return
      tellFailure(error)
      cancelTimer = clock.setTimeout(() => void rotateInTime(Math.min(pause * 2, longestRetry)), pause)
    }
  }

  /** A server that is away is asked again; one that will not change the registration may register the client anew. */
  function passOver(error: unknown): undefined {
    if (!(error instanceof GatewayError) || error.code === 'authorization_server_unavailable') throw error
    tellFailure(error)
  }

  function tellFailure(error: unknown): void {
    const reason = error instanceof GatewayError ? (error.options.reason ?? error.code) : errorTrail(error)
    log.warn({ ...told, reason }, 'registration not renewed')
  }

  return {
    prepare: () => (held ? undefined : alone(obtain)),
    current,
    renew: () => alone(renew).catch(tellFailure),
    isOutdated: () => current().registration.asked !== acts.asked,
    update: () => alone(() => change(current().registration.id, updateNow)),
    async remove() {
      await vault.ready()
      return withLease(async (found) => {
        if (found.entry) await acts.remove(found)
        return found.entry !== undefined
      })
    },
    place: vault.place,
    async close() {
      closed = true
      cancelTimer()
      acts.close()
      await flight?.catch(() => {})
    },
  }

  async function updateNow(found: Found): Promise<void> {
    adopt(await acts.update(found, current().registration))
  }
}

/** One that came without any life is not replaced for that. */
function hasExpired(registration: Registration, now: number): boolean {
  return rotationTime(registration) !== undefined && (registration.answer.secretExpiresAt ?? now) <= now
}

/** True if the secret lasts longer now. */
function isRenewed({ answer: before }: Registration, { answer: after }: Registration): boolean {
  if (after.secretExpiresAt === undefined) return true
  return before.secretExpiresAt !== undefined && after.secretExpiresAt > before.secretExpiresAt
}
