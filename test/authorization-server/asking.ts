import { inspect } from 'node:util'
import { expect } from 'vitest'
import {
  type AuthorizationServer,
  authorizationServerOptions,
  createAuthorizationServer,
} from '../../src/authorization-server/authorization-server.ts'
import { type IssuedToken, requestToken } from '../../src/authorization-server/token-endpoint.ts'
import { type Clock, systemClock } from '../../src/base/clock.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { clientOptions, createCredential } from '../../src/egress/client.ts'
import { recordOutput } from '../harness/logs.ts'

/** An authorization server as the configuration would make it. */
export function createServer(
  options: Readonly<Record<string, unknown>>,
  clock: Clock = systemClock,
): AuthorizationServer {
  return createAuthorizationServer('sso', authorizationServerOptions({}).parse(options), { clock })
}

/** Asks for a token with a client as the configuration would have it. */
export function askAs(
  server: AuthorizationServer,
  client: Readonly<Record<string, unknown>>,
  parameters: readonly (readonly [string, string])[] = [],
): Promise<IssuedToken> {
  const options = clientOptions.parse({ authorization_server: 'sso', ...client })
  return requestToken({ server, clientId: options.client_id ?? '', credential: createCredential(options), parameters })
}

/** The error that something fails with. However it is printed, it is left to be looked through for secrets. */
export async function failureOf(work: Promise<unknown>): Promise<GatewayError> {
  const error: unknown = await work.then(
    () => expect.unreachable('it did not fail'),
    (thrown: unknown) => thrown,
  )
  if (!(error instanceof GatewayError)) throw error
  recordOutput(printed(error))
  return error
}

/** Everything that Node can print of an error. */
export function printed(error: Error): string {
  return `${error.stack} ${JSON.stringify(error)} ${inspect(error, { depth: 9, showHidden: true })}`
}
