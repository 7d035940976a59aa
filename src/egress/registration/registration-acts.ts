import { randomUUID } from 'node:crypto'
import type { AuthorizationServer } from '../../authorization-server/authorization-server.ts'
import {
  deleteClient,
  LostRegistration,
  type RegisteredAnswer,
  registerClient,
  updateClient,
} from '../../authorization-server/registration-endpoint.ts'
import type { Clock } from '../../base/clock.ts'
import { GatewayError } from '../../base/errors.ts'
import type { Log } from '../../base/log.ts'
import type { RegisteringClient } from '../client.ts'
import { createFailureMemory } from '../failure-memory.ts'
import { clientMetadata } from './client-metadata.ts'
import { StoreFault } from './record-store.ts'
import { changed, fingerprint, isRegistration, type LostAttempt, type Registration } from './registration.ts'
import type { Found, Vault } from './vault.ts'

/** What can be done with the registration of one client, by whoever holds its lease. Each keeps what comes of it. */
export interface RegistrationActs {
  /** What is asked for, in short. */
  readonly asked: string
  /** @throws {GatewayError} if the server does not register the client, or has done so within the last hour */
  register(found: Found): Promise<Registration>
  /** @throws {GatewayError} also where the server lets nobody change it */
  update(found: Found, before: Registration): Promise<Registration>
  /** @throws {GatewayError} also where the server lets nobody delete it */
  remove(found: Found): Promise<void>
  close(): void
}

export interface RegistrationContext {
  readonly name: string
  readonly client: RegisteringClient
  readonly server: AuthorizationServer
  readonly vault: Vault
  readonly clock: Clock
  readonly log: Log
}

/** So often at most a client is registered, whatever becomes of it: a server that forgets clients is not flooded with them. */
const registrationInterval = 3_600_000
const longestPause = 60_000
const keepInterval = 1000

export function createRegistrationActs(context: RegistrationContext): RegistrationActs {
  const { name, client, server, vault, clock, log } = context
  const { initial_access_token: initialAccessToken, software_statement: statement } = client.registration
  const failures = createFailureMemory(clock, longestPause)
  const metadata = clientMetadata(client)
  const asked = fingerprint(metadata)
  const told = { client: name, authorization_server: server.name }
  /** Whatever becomes of what is kept: this process holds to the interval. */
  let lastAt: number | undefined
  let cancelKeeping = () => {}

  const requested = () => ({ ...metadata, ...(statement && { software_statement: statement.read() }) })
  // A clock may have been set back since.
  const isOld = (registeredAt: number | undefined) =>
    registeredAt === undefined || Math.abs(clock.now() - registeredAt) >= registrationInterval

  /** What has been granted is used, whether or not it can be kept: the server will not grant it a second time. */
  async function keep(entry: Registration, found: Found): Promise<Registration> {
    cancelKeeping()
    try {
      if (await vault.write(entry, found)) return entry
      const { entry: others } = await vault.read()
      if (!others || !isRegistration(others)) throw new StoreFault(`the registration of ${name} was removed meanwhile`)
      log.warn(told, 'registered by another process too, whose registration counts')
      return others
    } catch (error) {
      if (!(error instanceof StoreFault)) throw error
      log.warn({ ...told, reason: error.message }, 'registration not kept')
      keepLater(entry, found)
      return entry
    }
  }

  function keepLater(entry: Registration, found: Found): void {
    const again = async () => {
      const isKept = await vault.write(entry, found).catch(() => undefined)
      if (isKept === undefined) keepLater(entry, found)
      else if (isKept) log.info(told, 'registration kept')
    }
    cancelKeeping = clock.setTimeout(() => void again(), keepInterval)
  }

  /** The server's failures are remembered, and answered with while their pause lasts. */
  async function ask(send: () => Promise<RegisteredAnswer>): Promise<RegisteredAnswer> {
    failures.check(name)
    const askedAt = clock.elapsed()
    try {
      const answer = await send()
      failures.succeeded(name, askedAt)
      return answer
    } catch (error) {
      throw error instanceof GatewayError && !(error instanceof LostRegistration) ? failures.failed(name, error) : error
    }
  }

  function requireAge({ entry }: Found): void {
    if (isOld(entry?.registeredAt) && isOld(lastAt)) return
    const what = entry && !isRegistration(entry) ? 'was registered with an answer of no use' : 'was registered'
    const reason = `the client ${what} less than an hour ago, and is not registered again so soon`
    throw new GatewayError('authorization_server_invalid_response', { reason })
  }

  /** Once more would be one client more at the server, and again to no use. What was kept before is good still. */
  async function noteLost(error: unknown, attempt: LostAttempt, found: Found): Promise<never> {
    if (!(error instanceof LostRegistration)) throw error
    const { registeredAt, changedAt } = attempt
    lastAt = registeredAt
    const before = found.entry
    await vault
      .write(before && isRegistration(before) ? { ...before, registeredAt, changedAt } : attempt, found)
      .catch((fault: Error) => log.warn({ ...told, reason: fault.message }, 'registration not kept'))
    throw error
  }

  return {
    asked,
    async register(found) {
      requireAge(found)
      const at = clock.now()
      const entry = { id: randomUUID(), registeredAt: at, changedAt: at }
      const answer = await ask(() => registerClient(server, requested(), initialAccessToken?.read())).catch((error) =>
        noteLost(error, entry, found),
      )
      lastAt = at
      log.info(told, 'client registered')
      return keep({ ...entry, secretGivenAt: at, asked, answer }, found)
    },
    async update(found, before) {
      const { management, clientId, clientSecret, metadata: granted } = before.answer
      if (!management) throw unmanaged('changed')
      const body = {
        ...granted,
        ...requested(),
        client_id: clientId,
        ...(clientSecret && { client_secret: clientSecret.read() }),
      }
      const at = clock.now()
      const answer = await updateClient(server, management, body)
      log.info(told, 'registration changed')
      // Before anything else is done with it: the access token of the registration may be another one now.
      return keep(changed(before, answer, asked, at), found)
    },
    async remove(found) {
      if (found.entry && isRegistration(found.entry)) {
        const { management } = found.entry.answer
        if (!management) throw unmanaged('deleted')
        await deleteClient(server, management)
      }
      if (!(await vault.write(undefined, found)))
        throw new StoreFault(`the registration of ${name} was changed meanwhile`)
    },
    close: () => cancelKeeping(),
  }

  function unmanaged(what: string): GatewayError {
    const reason = `it cannot be ${what} from here, for ${server.name} gave no registration access token (RFC 7592); see to it there, and remove ${vault.place()}`
    return new GatewayError('authorization_server_refused', { reason })
  }
}
