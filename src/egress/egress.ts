import type { AuthorizationServer } from '../authorization-server/authorization-server.ts'
import type { ClientCertificate } from '../base/client-certificate.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { type ClientOptions, createCredential, isCertificateBound, type TokenOptions } from './client.ts'
import type { TokenCache } from './token-cache/define.ts'
import { createTokenCache, type TokenCacheOptions } from './token-cache/index.ts'
import { createTokenRequest, type TokenRequest } from './token-request.ts'
import { createTokenSource, type TokenSource } from './token-source.ts'

/** This wing, put together: every client of the configuration, and the tokens that they get. */
export interface Egress {
  readonly tokens: TokenSource
  /** The request for the token that these options ask for. @throws {TypeError} for a client that is not configured */
  requestFor(wished: Pick<TokenOptions, 'client'> & Partial<TokenOptions>): TokenRequest
  /** The certificate that a client's tokens are bound to: worth nothing on a connection without it. */
  certificateOf(client: string): ClientCertificate | undefined
}

export interface EgressContext {
  readonly clients: Readonly<Record<string, ClientOptions>>
  readonly tokenCache: TokenCacheOptions
  /** Where tokens are shared, if not where the options say. */
  readonly cache?: TokenCache | undefined
  readonly servers: ReadonlyMap<string, AuthorizationServer>
  readonly log: Log
  readonly clock: Clock
}

export function createEgress(context: EgressContext): Egress {
  const { clients, tokenCache, servers, log, clock, cache = createTokenCache(tokenCache, { clock, log }) } = context
  const credentials = new Map(Object.entries(clients).map(([name, client]) => [name, createCredential(client)]))
  return {
    tokens: createTokenSource({ clock, log, cache, options: tokenCache }),
    requestFor(token) {
      const { client: name } = token
      const client = clients[name]
      const server = client && servers.get(client.authorization_server)
      const credential = credentials.get(name)
      if (!client || !server || !credential)
        throw new TypeError(`there is no client ${name}; there is ${Object.keys(clients).join(', ') || 'none'}`)
      return createTokenRequest({ name, client, server, credential, token, cache })
    },
    certificateOf(name) {
      const client = clients[name]
      return client && isCertificateBound(client) ? credentials.get(name)?.tls : undefined
    },
  }
}
