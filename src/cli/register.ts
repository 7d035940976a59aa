import { GatewayError } from '../base/errors.ts'
import { createLog, createLogOutput } from '../base/log.ts'
import { type ClientRegistration, createClientRegistrations } from '../client-registrations.ts'
import { loadConfig } from '../config/load.ts'

export interface RegisterOptions {
  readonly config: string
  readonly delete?: true
}

/** Registers a client as the gateway would, or brings its registration up to date, and prints what it is; or deletes it. */
export async function register(client: string, options: RegisterOptions): Promise<void> {
  const config = loadConfig(options.config, process.env, { routes: 'optional' })
  const registrations = createClientRegistrations(config, { log: createLog(createLogOutput(2), 'error') })
  try {
    const text = options.delete
      ? (await registrations.remove(client))
        ? `${client}: deleted`
        : `${client}: is not registered`
      : describe(client, await registrations.register(client))
    process.stdout.write(`${text}\n`)
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error
    const what = options.delete ? 'deleted' : 'registered'
    throw new Error(`${client} is not ${what}: ${error.code}: ${error.options.reason ?? error.sentence}`)
  } finally {
    await registrations.close()
  }
}

/** Its secret is nobody's to see: who needs another client can register one. */
function describe(client: string, registration: ClientRegistration): string {
  const { outcome, clientId, method, scopes, secretExpiresAt, registeredAt, isManageable, warnings, place } =
    registration
  const rows: [name: string, what: string][] = [
    ['client', `${client}: ${outcome}`],
    ['client_id', clientId],
    ['method', method],
    ['scope', scopes.join(' ') || 'none, or the server did not say'],
    ['registered', new Date(registeredAt).toISOString()],
    [
      'secret',
      secretExpiresAt === undefined ? 'does not expire' : `expires ${new Date(secretExpiresAt).toISOString()}`,
    ],
    ['changes', isManageable ? 'can be changed and deleted (RFC 7592)' : 'the server lets nobody change or delete it'],
    ['kept as', place],
    ...warnings.map((warning): [string, string] => ['warning', warning]),
  ]
  return rows.map(([name, what]) => `${`${name}:`.padEnd(12)}${what}`).join('\n')
}
