import { createBoundedMap } from './base/bounded-map.ts'
import { type Clock, systemClock } from './base/clock.ts'
import { createLog, type Log } from './base/log.ts'
import type { Secret } from './base/secret.ts'
import type { Config } from './config/load.ts'
import { wishOptions } from './egress/client.ts'
import { createEgress, type Egress } from './egress/egress.ts'
import type { ObtainedToken } from './egress/token-source.ts'
import { createServers, registrationPlace } from './wiring.ts'

/** What a token is asked for; what is left out is as the client is configured, and an empty list asks for none. */
export interface TokenWish {
  readonly scopes?: readonly string[] | undefined
  readonly audience?: readonly string[] | undefined
  readonly resource?: readonly string[] | undefined
  /** Further parameters of the token request, beside the client's. */
  readonly params?: Readonly<Record<string, string>> | undefined
}

/** A token of a client. Times are milliseconds since the epoch. */
export interface ClientToken {
  readonly value: Secret
  /** What was granted, where the server said so. */
  readonly scope: string | undefined
  /** What was asked for. */
  readonly askedScopes: readonly string[]
  /** By now, for a token that came without any life. */
  readonly expiresAt: number
  readonly source: 'memory' | 'redis' | 'fetched'
}

/** The tokens of a configuration's clients, without a gateway: for requests that a program makes by itself. */
export interface ClientTokens {
  /**
   * A token that is good now, kept and renewed as the gateway does it. Once `signal` is aborted it rejects with the
   * signal's reason.
   * @throws {GatewayError} where none is to be had, and TypeError for a client that is not configured, for a wish that
   * cannot be sent, and after `close`
   */
  get(client: string, wish?: TokenWish, signal?: AbortSignal): Promise<ClientToken>
  /**
   * The successor of a token that an API answered with 401. `undefined` where none is to be had: a token younger than 10 s
   * is not replaced, and none is asked for twice in 10 s.
   * @throws {GatewayError} as `get`, and TypeError for a token that these did not give
   */
  replace(refused: ClientToken): Promise<ClientToken | undefined>
  close(): Promise<void>
}

type TokenRequest = ReturnType<Egress['requestFor']>
type AccessToken = ObtainedToken['token']

export function createClientTokens(
  config: Config,
  options: {
    readonly log?: Log
    readonly clock?: Clock
    /** True: tokens are not shared in Redis, neither way. */
    readonly ownTokens?: boolean
  } = {},
): ClientTokens {
  const { log = createLog(), clock = systemClock } = options
  const servers = createServers(config, clock)
  const egress = createEgress({
    clients: config.clients,
    tokenCache: options.ownTokens ? { ...config.token_cache, redis: undefined } : config.token_cache,
    registrations: registrationPlace(config),
    servers,
    log,
    clock,
  })
  const requests = createBoundedMap<TokenRequest>()
  const given = new WeakMap<ClientToken, { readonly request: TokenRequest; readonly token: AccessToken }>()
  let closed = false

  function requestFor(client: string, wish: TokenWish): TokenRequest {
    const name = JSON.stringify([client, wish])
    const request = requests.get(name) ?? egress.requestFor({ client, ...readWish(wish) })
    requests.set(name, request)
    return request
  }
  function hand(request: TokenRequest, { token, source }: ObtainedToken): ClientToken {
    const { value, scope, obtainedAt, life } = token
    const handed = { value, scope, askedScopes: request.scopes, expiresAt: obtainedAt + life, source }
    given.set(handed, { request, token })
    return handed
  }
  function requireOpen(): void {
    if (closed) throw new TypeError('these client tokens are closed')
  }

  return {
    async get(client, wish = {}, signal) {
      requireOpen()
      const request = requestFor(client, wish)
      try {
        signal?.throwIfAborted()
        await egress.tokens.ready()
        requireOpen()
        return hand(request, await egress.tokens.get(request, signal))
      } catch (error) {
        signal?.throwIfAborted()
        throw error
      }
    },
    async replace(refused) {
      requireOpen()
      const known = given.get(refused)
      if (!known) throw new TypeError('this is no token that these client tokens gave')
      const successor = await egress.tokens.replace(known.request, known.token)
      return successor && hand(known.request, successor)
    },
    async close() {
      closed = true
      await egress.close()
      await Promise.all([...servers.values()].map((server) => server.close()))
    },
  }
}

/** A misspelt member would be passed over, and the token be one for something else. */
function readWish(wish: TokenWish) {
  const read = wishOptions.safeParse(wish)
  if (read.success) return Object.fromEntries(Object.entries(read.data).filter(([, value]) => value !== undefined))
  const faults = read.error.issues.map(({ path, message }) => [path.join('.'), message].filter(Boolean).join(': '))
  throw new TypeError(`the wish for a token cannot be sent: ${faults.join('; ')}`)
}
