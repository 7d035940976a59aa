import { type Clock, systemClock } from './base/clock.ts'
import { createLog, type Log } from './base/log.ts'
import type { Config } from './config/load.ts'
import { createEgress } from './egress/egress.ts'
import { createServers, registrationPlace } from './wiring.ts'

/** What is known of a client that has registered itself. Times are milliseconds since the epoch. */
export interface ClientRegistration {
  readonly clientId: string
  readonly method: string
  /** What its tokens may be asked for, where that is said. */
  readonly scopes: readonly string[]
  readonly registeredAt: number
  /** `undefined` for a secret that does not expire, or where there is none. */
  readonly secretExpiresAt: number | undefined
  /** True if it can be changed and deleted (RFC 7592). */
  readonly isManageable: boolean
  readonly warnings: readonly string[]
  /** How a person finds what is kept of it. */
  readonly place: string
  /** What came of asking for it. */
  readonly outcome: 'known already' | 'registered' | 'changed'
}

/** The registrations of a configuration's clients, without a gateway: for whoever sees to them by hand. */
export interface ClientRegistrations {
  /**
   * Registers the client, or, should it be registered as something else than is configured now, changes that.
   * @throws {GatewayError}, and TypeError for a client that does not register itself
   */
  register(client: string): Promise<ClientRegistration>
  /** Deletes the client at its server, and what is kept of it. False if there is none. @throws as `register` */
  remove(client: string): Promise<boolean>
  close(): Promise<void>
}

export function createClientRegistrations(
  config: Config,
  options: { readonly log?: Log; readonly clock?: Clock } = {},
): ClientRegistrations {
  const { log = createLog(), clock = systemClock } = options
  const servers = createServers(config, clock)
  const { clients, token_cache: tokenCache } = config
  const registrations = registrationPlace(config)
  const egress = createEgress({ clients, tokenCache, registrations, servers, log, clock })

  function registrarOf(client: string) {
    const registrar = egress.registrarOf(client)
    if (registrar) return registrar
    const names = Object.keys(clients).filter((name) => egress.registrarOf(name))
    const what = clients[client] ? `the client ${client} has no registration` : `there is no client ${client}`
    throw new TypeError(`${what}; one with registration is ${names.join(', ') || 'none'}`)
  }

  return {
    async register(name) {
      const registrar = registrarOf(name)
      const startedAt = clock.now()
      await registrar.prepare()
      const isNew = registrar.current().registration.registeredAt >= startedAt
      const isOutdated = registrar.isOutdated()
      if (isOutdated) await registrar.update()
      const { registration, client, warnings } = registrar.current()
      const { clientId, secretExpiresAt, management } = registration.answer
      return {
        clientId,
        method: client.token_endpoint_auth_method,
        scopes: client.scopes ?? [],
        registeredAt: registration.registeredAt,
        secretExpiresAt,
        isManageable: management !== undefined,
        warnings,
        place: registrar.place(),
        outcome: isOutdated ? 'changed' : isNew ? 'registered' : 'known already',
      }
    },
    remove: async (name) => registrarOf(name).remove(),
    async close() {
      await egress.close()
      await Promise.all([...servers.values()].map((server) => server.close()))
    },
  }
}
