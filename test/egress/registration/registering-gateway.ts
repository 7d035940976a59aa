import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Clock } from '../../../src/base/clock.ts'
import { type RunningGateway, startGateway } from '../../harness/gateway.ts'
import { createKey } from '../token-cache/caches.ts'
import type { RegistrationServer } from './registration-server.ts'

/** A folder for the file of registrations, which goes with the test. */
export function createFolder() {
  const path = mkdtempSync(join(tmpdir(), 'scopegate-registrations-'))
  return { path, file: join(path, 'registrations'), stop: async () => rmSync(path, { recursive: true }) }
}

export interface ConfigurationWish {
  readonly server: Pick<RegistrationServer, 'url'>
  /** Where registrations are kept: a file, or a Redis. */
  readonly file?: string
  readonly redis?: string
  readonly keys?: readonly string[]
  /** The members of `registration`. */
  readonly registration?: object
  /** Further keys of the client. */
  readonly client?: object
  readonly token?: object
}

/** Its key, where a test does not care which. */
export const anyKey = createKey()

/** Two routes with tokens of a client that registers itself; all of JSON is YAML. */
export function configuration({
  server,
  file,
  redis,
  keys = [anyKey],
  registration = {},
  client = {},
  token = {},
}: ConfigurationWish): string {
  const parts = {
    authorization_servers: {
      sso: { token_endpoint: `${server.url}/token`, registration_endpoint: `${server.url}/register` },
    },
    clients: { legacy: { authorization_server: 'sso', registration, ...client } },
    ...(file !== undefined && { registrations: { file, encryption_keys: keys } }),
    ...(redis !== undefined && { token_cache: { redis: { url: redis, encryption_keys: keys } } }),
    routes: [
      { path: '/**', token: { client: 'legacy', ...token } },
      { path: '/second/**', token: { client: 'legacy', scopes: ['second'] } },
    ].map((route) => ({ ...route, callers: { networks: ['loopback'] }, upstream: `${server.url}/api` })),
  }
  return Object.entries(parts)
    .map(([key, value]) => `${key}: ${JSON.stringify(value)}`)
    .join('\n')
}

export function startRegisteringGateway(wish: ConfigurationWish, clock?: Clock): Promise<RunningGateway> {
  return startGateway(configuration(wish), { ...(clock && { clock }) })
}

/** The status of one request; at `/second` it needs another token. */
export async function statusOf({ url }: Pick<RunningGateway, 'url'>, path = '/'): Promise<number> {
  const response = await fetch(`${url}${path}`)
  await response.arrayBuffer()
  return response.status
}
