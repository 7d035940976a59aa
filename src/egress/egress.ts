import type { AuthorizationServer } from '../authorization-server/authorization-server.ts'
import type { ClientCertificate } from '../base/client-certificate.ts'
import type { Clock } from '../base/clock.ts'
import type { Log } from '../base/log.ts'
import { type ClientOptions, createCredential, isCertificateBound, type TokenOptions } from './client.ts'
import { createTokenCache, type TokenCacheOptions } from './token-cache/index.ts'
import { createTokenExchange, createTokenRequest, type TokenExchange, type TokenRequest } from './token-request.ts'
import { createTokenSource, type TokenSource } from './token-source.ts'

/** This wing, put together: every client of the configuration, and the tokens that they get. */
export interface Egress {
  readonly tokens: TokenSource
  /** The request for the token that these options ask for. @throws {TypeError} for a client that is not configured */
  requestFor(wished: Wished): TokenRequest
  /** The exchange of callers' tokens that these options ask for. @throws {TypeError} as `requestFor` */
  exchangeFor(wished: Wished): TokenExchange
  /** The certificate that a client's tokens are bound to: worth nothing on a connection without it. */
  certificateOf(client: string): ClientCertificate | undefined
}

type Wished = Pick<TokenOptions, 'client'> & Partial<TokenOptions>

export interface EgressContext {
  readonly clients: Readonly<Record<string, ClientOptions>>
  readonly tokenCache: TokenCacheOptions
  readonly servers: ReadonlyMap<string, AuthorizationServer>
  readonly log: Log
  readonly clock: Clock
}

export function createEgress({ clients, tokenCache, servers, log, clock }: EgressContext): Egress {
  const cache = createTokenCache(tokenCache, { clock, log })
  const credentials = new Map(Object.entries(clients).map(([name, client]) => [name, createCredential(client)]))
  function contextOf(token: Wished) {
    const { client: name } = token
    const client = clients[name]
    const server = client && servers.get(client.authorization_server)
    const credential = credentials.get(name)
    if (!client || !server || !credential)
      throw new TypeError(`there is no client ${name}; there is ${Object.keys(clients).join(', ') || 'none'}`)
    return { name, client, server, credential, token, cache }
  }
  return {
    tokens: createTokenSource({ clock, log, cache, options: tokenCache }),
    requestFor: (token) => createTokenRequest(contextOf(token)),
    exchangeFor: (token) => createTokenExchange(contextOf(token)),
    certificateOf(name) {
      const client = clients[name]
      return client && isCertificateBound(client) ? credentials.get(name)?.tls : undefined
    },
  }
}
