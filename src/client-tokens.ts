import { createBoundedMap } from './base/bounded-map.ts'
import { type Clock, systemClock } from './base/clock.ts'
import { createLog, type Log } from './base/log.ts'
import type { Secret } from './base/secret.ts'
import type { Config } from './config/load.ts'
import { createEgress } from './egress/egress.ts'
import { createServers } from './wiring.ts'

/** What a token is asked for; what is left out is as the client is configured. */
export interface TokenWish {
  readonly scopes?: readonly string[]
  readonly audience?: readonly string[]
  readonly resource?: readonly string[]
}

/** A token of a client. Times are milliseconds since the epoch. */
export interface ClientToken {
  readonly value: Secret
  /** What was granted, where the server said so. */
  readonly scope: string | undefined
  readonly expiresAt: number
  readonly source: 'memory' | 'redis' | 'fetched'
}

/** The tokens of a configuration's clients, without a gateway: for requests that a program makes by itself. */
export interface ClientTokens {
  /**
   * A token that is good now, kept and renewed as the gateway does it.
   * @throws {GatewayError} where none is to be had, and TypeError for a client that is not configured
   */
  get(client: string, wish?: TokenWish, signal?: AbortSignal): Promise<ClientToken>
  close(): Promise<void>
}

export function createClientTokens(
  config: Config,
  options: { readonly log?: Log; readonly clock?: Clock } = {},
): ClientTokens {
  const { log = createLog(), clock = systemClock } = options
  const servers = createServers(config, clock)
  const egress = createEgress({ clients: config.clients, tokenCache: config.token_cache, servers, log, clock })
  const requests = createBoundedMap<ReturnType<typeof egress.requestFor>>()
  return {
    async get(client, wish = {}, signal) {
      const name = JSON.stringify([client, wish])
      const request = requests.get(name) ?? egress.requestFor({ client, ...wished(wish) })
      requests.set(name, request)
      await egress.tokens.ready()
      const { token, source } = await egress.tokens.get(request, signal)
      return { value: token.value, scope: token.scope, expiresAt: token.obtainedAt + token.life, source }
    },
    async close() {
      await egress.tokens.close()
      await Promise.all([...servers.values()].map((server) => server.close()))
    },
  }
}

function wished({ scopes, audience, resource }: TokenWish) {
  return {
    ...(scopes && { scopes: [...scopes] }),
    ...(audience && { audience: [...audience] }),
    ...(resource && { resource: [...resource] }),
  }
}
