import type { AuthorizationServer } from '../authorization-server/authorization-server.ts'
import { type ClientCertificate, createClientCertificate } from '../base/client-certificate.ts'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { errorTrail, type Log } from '../base/log.ts'
import { type ClientOptions, createCredential, isCertificateBound, isRegistering, type TokenOptions } from './client.ts'
import { createRegisteredTokenRequests } from './registration/registered-token-request.ts'
import type { Registrar } from './registration/registrar.ts'
import { createRegistrars, type RegistrationPlace } from './registration/registrars.ts'
import type { TokenCache } from './token-cache/define.ts'
import { createTokenCache, type TokenCacheOptions } from './token-cache/index.ts'
import { createSharedRedis } from './token-cache/shared-redis.ts'
import { createTokenRequests, type TokenExchange, type TokenRequest, type TokenRequests } from './token-request.ts'
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
  /** What keeps a client registered; `undefined` for one that somebody else has registered. */
  registrarOf(client: string): Registrar | undefined
  /** Has these clients registered in the background, so that nobody waits for it later. What fails is tried again at need. */
  register(clients: readonly string[]): void
  close(): Promise<void>
}

type Wished = Pick<TokenOptions, 'client'> & Partial<TokenOptions>

export interface EgressContext {
  readonly clients: Readonly<Record<string, ClientOptions>>
  readonly tokenCache: TokenCacheOptions
  /** Where tokens are shared, if not where the options say. */
  readonly cache?: TokenCache | undefined
  readonly registrations: RegistrationPlace
  readonly servers: ReadonlyMap<string, AuthorizationServer>
  readonly log: Log
  readonly clock: Clock
}

export function createEgress(context: EgressContext): Egress {
  const { clients, tokenCache, registrations, servers, log, clock } = context
  const redis = tokenCache.redis ?? (Object.values(clients).some(isRegistering) ? registrations.redis : undefined)
  const shared = redis && createSharedRedis(redis, { clock, log })
  const { cache = createTokenCache(tokenCache, { clock, log }, shared) } = context
  const tokens = createTokenSource({ clock, log, cache, options: tokenCache })
  const registrars = createRegistrars({ clients, servers, place: registrations, shared, clock, log })
  const known = Object.entries(clients).filter(([, client]) => !isRegistering(client))
  const credentials = new Map(known.map(([name, client]) => [name, createCredential(client)]))
  const certificates = new Map(
    Object.entries(clients).flatMap(([name, { tls }]) =>
      tls && registrars.has(name) ? [[name, createClientCertificate(tls)]] : [],
    ),
  )
  function requestsFor(token: Wished): TokenRequests {
    const { client: name } = token
    const client = clients[name]
    const server = client && servers.get(client.authorization_server)
    const [registrar, credential] = [registrars.get(name), credentials.get(name)]
    if (client && server && registrar)
      return createRegisteredTokenRequests({ name, client, server, token, cache }, registrar)
    if (!client || !server || !credential)
      throw new TypeError(`there is no client ${name}; there is ${Object.keys(clients).join(', ') || 'none'}`)
    return createTokenRequests({ name, client, server, credential, token, cache })
  }
  return {
    tokens,
    requestFor: (token) => requestsFor(token)(),
    exchangeFor: (token) => ({ requestFor: requestsFor(token) }),
    certificateOf(name) {
      const client = clients[name]
      if (!client || !isCertificateBound(client)) return undefined
      return credentials.get(name)?.tls ?? certificates.get(name)
    },
    registrarOf: (name) => registrars.get(name),
    register(names) {
      for (const name of new Set(names))
        registrars
          .get(name)
          ?.prepare()
          ?.catch((error: unknown) => {
            const reason = error instanceof GatewayError ? (error.options.reason ?? error.code) : errorTrail(error)
            log.warn({ client: name, reason }, 'client not registered')
          })
    },
    async close() {
      await Promise.all([...registrars.values()].map((registrar) => registrar.close()))
      await tokens.close()
      shared?.close()
    },
  }
}
