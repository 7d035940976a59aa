import { decodeJwt } from 'jose'
import {
  authorizationServerOptions,
  createAuthorizationServer,
  type AuthorizationServer as Server,
} from '../../../src/authorization-server/authorization-server.ts'
import type { ClientCredential } from '../../../src/authorization-server/client-auth/define.ts'
import { type IssuedToken, requestToken } from '../../../src/authorization-server/token-endpoint.ts'
import { systemClock } from '../../../src/base/clock.ts'
import { clientOptions, createCredential } from '../../../src/egress/client.ts'
import type { AuthorizationServer } from '../../harness/authorization-server.ts'
import { testAuthority } from '../../harness/certificates.ts'

/** The server of a test, as the gateway reaches it. */
export function connectTo({ issuer }: AuthorizationServer, options: Record<string, unknown> = {}): Server {
  const written = { issuer, ...(issuer.startsWith('https') && { tls: { ca: testAuthority } }), ...options }
  return createAuthorizationServer('test', authorizationServerOptions({}).parse(written), { clock: systemClock })
}

/** The credential of a client, from its keys as the configuration writes them. */
export function credentialOf(configured: Readonly<Record<string, unknown>>): ClientCredential {
  const client = { authorization_server: 'test', client_id: 'unnamed', ...configured }
  return createCredential(clientOptions.parse(client))
}

/** Asks for a token of the scope customer.read. */
export function ask(server: Server, clientId: string, credential: ClientCredential): Promise<IssuedToken> {
  return requestToken({ server, clientId, credential, parameters: [['scope', 'customer.read']] })
}

export function claimsOf({ accessToken }: IssuedToken): Record<string, unknown> {
  return decodeJwt(accessToken)
}
