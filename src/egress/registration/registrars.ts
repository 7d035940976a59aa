import { resolve } from 'node:path'
import type { AuthorizationServer } from '../../authorization-server/authorization-server.ts'
import type { Clock } from '../../base/clock.ts'
import type { Log } from '../../base/log.ts'
import { type ClientOptions, isRegistering } from '../client.ts'
import { createSealing, type Sealing } from '../sealing.ts'
import type { RedisOptions } from '../token-cache/redis-options.ts'
import type { SharedRedis } from '../token-cache/shared-redis.ts'
import { createFileRecordStore } from './file-record-store.ts'
import type { RecordStore } from './record-store.ts'
import { createRedisRecordStore } from './redis-record-store.ts'
import { createRegistrar, type Registrar } from './registrar.ts'
import type { RegistrationFileOptions } from './registration-options.ts'
import { createVault } from './vault.ts'

/** Where registrations are kept: in Redis, or else in a file. */
export interface RegistrationPlace {
  readonly redis?: RedisOptions | undefined
  readonly file?: RegistrationFileOptions | undefined
  /** What the file is relative to. */
  readonly folder: string
}

export interface RegistrarsContext {
  readonly clients: Readonly<Record<string, ClientOptions>>
  readonly servers: ReadonlyMap<string, AuthorizationServer>
  readonly place: RegistrationPlace
  /** The Redis of the place, if there is one. */
  readonly shared: SharedRedis | undefined
  readonly clock: Clock
  readonly log: Log
}

/** One registrar for each client that registers itself, by the client's name. Nothing is asked of anybody yet. */
export function createRegistrars(context: RegistrarsContext): ReadonlyMap<string, Registrar> {
  const { clients, servers, clock, log } = context
  const registering = Object.entries(clients).flatMap(([name, client]) => {
    const server = servers.get(client.authorization_server)
    return isRegistering(client) && server ? [{ name, client, server }] : []
  })
  if (registering.length === 0) return new Map()
  const { store, sealing } = openPlace(context)
  return new Map(
    registering.map(({ name, client, server }) => {
      const canonical = JSON.stringify({ client: name, server: server.issuer ?? server.identity })
      const vault = createVault({ store, sealing, client: name, canonical })
      return [name, createRegistrar({ name, client, server, vault, clock, log })]
    }),
  )
}

function openPlace({ place, shared, clock }: RegistrarsContext): { store: RecordStore; sealing: Sealing } {
  const { redis, file, folder } = place
  if (redis && shared)
    return {
      store: createRedisRecordStore(shared, clock),
      sealing: createSealing(redis.encryption_keys, 'registrations'),
    }
  if (!file) throw new TypeError('there is no place for the registrations of clients')
  return {
    store: createFileRecordStore(resolve(folder, file.file), clock),
    sealing: createSealing(file.encryption_keys, 'registrations'),
  }
}
