import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { parseScope } from '../base/scope.ts'
import { type AccessToken, createAccessToken, lifeOf } from './access-token.ts'
import { createGuardedEndpoints } from './guarded-endpoint.ts'
import type { TokenCache } from './token-cache/define.ts'
import type { TokenRequest } from './token-request.ts'
import type { ObtainedToken } from './token-source.ts'

/** Gets a token that this process does not hold. */
export interface TokenFetcher {
  /**
   * From what other processes share, or else from the authorization server, as the only one of them that asks. With a
   * predecessor, only a token that was obtained after it will do.
   */
  fetch(request: TokenRequest, predecessor?: Predecessor): Promise<FetchedToken>
}

export interface FetchedToken extends ObtainedToken {
  /** What it may be kept under; `undefined` if the credential changed on the way, and nobody knows which one it is of. */
  readonly key: string | undefined
}

/** The token that another one is to take the place of. */
export interface Predecessor {
  readonly token: AccessToken
  /** True if an upstream did not accept it, so that no other process should get it either. */
  readonly refused: boolean
}

export interface TokenFetcherContext {
  readonly clock: Clock
  readonly log: Log
  readonly cache: TokenCache
  readonly defaultLife: number
}

/**
 * How long one waits for another process at a time, and in all; after that it asks by itself, so that nobody fails. The other
 * one may have to wait itself for its turn at the endpoint: to ask beside it would only make that longer.
 */
const leasePatience = 2000
const longestPatience = 20_000
/** A token that is no good any more when it comes is asked for again after this. */
const shortestInterval = 1000

export function createTokenFetcher({ clock, log, cache, defaultLife }: TokenFetcherContext): TokenFetcher {
  const endpoints = createGuardedEndpoints(clock)
  const warned = createBoundedMap<true>()
  /** What is wrong with the files of each client. */
  const faults = new Map<string, string | undefined>()
  /** Requests whose token came without life in it, and when they may be sent again. */
  const pauses = createBoundedMap<number>()

  async function fetch(request: TokenRequest, predecessor?: Predecessor): Promise<FetchedToken> {
    const keys = request.keys('again')
    const patience = clock.elapsed() + longestPatience
    for (;;) {
      const shared = await findShared(keys, predecessor?.token)
      if (shared) return shared
      const lease = clock.elapsed() < patience ? await cache.acquire(keys) : ({ state: 'unavailable' } as const)
      if (lease.state === 'unavailable') return ask(request, keys, predecessor)
      if (lease.state === 'held') {
        try {
          // It may have come between the look and the lease.
          return (await findShared(keys, predecessor?.token)) ?? (await ask(request, keys, predecessor))
        } finally {
          await lease.release()
        }
      }
      await cache.settled(keys, leasePatience)
    }
  }

  async function findShared(
    keys: readonly string[],
    predecessor: AccessToken | undefined,
  ): Promise<FetchedToken | undefined> {
    const token = await cache.get(keys)
    if (!token || token.usableUntil <= clock.now()) return undefined
    if (predecessor && (token.id === predecessor.id || token.obtainedAt <= predecessor.obtainedAt)) return undefined
    return { token, source: 'redis', key: keys[0] }
  }

  async function ask(
    request: TokenRequest,
    keys: readonly string[],
    predecessor: Predecessor | undefined,
  ): Promise<FetchedToken> {
    const [key = ''] = keys
    await pauseFor(key)
    const obtainedAt = clock.now()
    const sentAt = clock.elapsed()
    const issued = await endpoints
      .send(request, key, ({ scope }) => requireScope(request, key, scope))
      .finally(() => tellFault(request))
    const token = createAccessToken(issued.accessToken, {
      obtainedAt,
      life: lifeOf(issued.expiresIn, defaultLife),
      scope: issued.scope,
    })
    // Under a key of another credential it would go on to be handed out as that one's.
    const changed = request.keys('again')[0] !== key
    if (clock.now() >= token.usableUntil) pauses.set(key, sentAt + shortestInterval)
    else if (!changed) await cache.set(keys, token, predecessor?.refused ? predecessor.token : undefined)
    requireLife(token, issued.expiresIn)
    return { token, source: 'fetched', key: changed ? undefined : key }
  }

  /** Once for each: a key that was to be replaced, and was not, would be missed when the old one is withdrawn. */
  function tellFault(request: TokenRequest): void {
    const reason = request.credentialFault()
    if (reason === faults.get(request.client)) return
    faults.set(request.client, reason)
    if (reason === undefined) log.info({ client: request.client }, 'credential good again')
    else log.warn({ client: request.client, reason }, 'changed credential not used')
  }

  /** A token that came without any life serves those who wait; one that had a life, and spent it on the way, nobody. */
  function requireLife(token: AccessToken, expiresIn: number | undefined): void {
    if (clock.now() < token.usableUntil || (expiresIn !== undefined && expiresIn <= 0)) return
    throw new GatewayError('authorization_server_unavailable', {
      reason: 'the token had expired when it came',
      retryAfterSeconds: 1,
    })
  }

  function pauseFor(key: string): Promise<void> | undefined {
    const left = (pauses.get(key) ?? 0) - clock.elapsed()
    pauses.delete(key)
    return left > 0 ? new Promise((resolve) => void clock.setTimeout(resolve, left)) : undefined
  }

  function requireScope({ client, scopes, exactScope }: TokenRequest, key: string, scope: string | undefined): void {
    const granted = parseScope(scope ?? '')
    const missing = scope === undefined ? [] : scopes.filter((value) => !granted.includes(value))
    if (missing.length === 0) return
    const reason = `the scope granted lacks ${missing.join(' ')}`
    if (exactScope) throw new GatewayError('authorization_server_refused', { reason })
    if (!warned.has(key)) log.warn({ client, reason }, 'narrower scope')
    warned.set(key, true)
  }

  return { fetch }
}
