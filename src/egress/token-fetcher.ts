import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { parseScope } from '../base/scope.ts'
import { type AccessToken, createAccessToken, endingBy, lifeOf } from './access-token.ts'
import { createGuardedEndpoints } from './guarded-endpoint.ts'
import type { TokenCache } from './token-cache/define.ts'
import { apart, type TokenRequest } from './token-request.ts'
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
  const pauses = apart(() => createBoundedMap<number>())

  async function fetch(request: TokenRequest, predecessor?: Predecessor): Promise<FetchedToken> {
    const keys = request.keys('again')
    const patience = clock.elapsed() + longestPatience
    for (;;) {
      const shared = await findShared(request, keys, predecessor?.token)
      if (shared) return shared
      const lease = clock.elapsed() < patience ? await cache.acquire(keys) : ({ state: 'unavailable' } as const)
      if (lease.state === 'unavailable') return ask(request, keys, predecessor)
      if (lease.state === 'held') {
        try {
          // It may have come between the look and the lease.
          return (await findShared(request, keys, predecessor?.token)) ?? (await ask(request, keys, predecessor))
        } finally {
          await lease.release()
        }
      }
      await cache.settled(keys, leasePatience)
    }
  }

  async function findShared(
    { endsAt }: TokenRequest,
    keys: readonly string[],
    predecessor: AccessToken | undefined,
  ): Promise<FetchedToken | undefined> {
    const shared = await cache.get(keys)
    const token = shared && endingBy(shared, endsAt)
    if (!token || token.usableUntil <= clock.now()) return undefined
    if (predecessor && (token.id === predecessor.id || token.obtainedAt <= predecessor.obtainedAt)) return undefined
    return { token, source: cache.source, key: keys[0] }
  }

  async function ask(
    request: TokenRequest,
    keys: readonly string[],
    predecessor: Predecessor | undefined,
  ): Promise<FetchedToken> {
    const [key = ''] = keys
    await pauseFor(request, key)
    const obtainedAt = clock.now()
    const sentAt = clock.elapsed()
    const issued = await endpoints
      .send(request, key, ({ scope }) => requireScope(request, scope))
      .finally(() => tellFault(request))
    const life = lifeOf(issued.expiresIn, defaultLife)
    const whole = createAccessToken(issued.accessToken, { obtainedAt, life, scope: issued.scope })
    const token = endingBy(whole, request.endsAt)
    // Under a key of another credential it would go on to be handed out as that one's.
    const changed = request.keys('again')[0] !== key
    if (clock.now() >= token.usableUntil) pauses(request).set(key, sentAt + shortestInterval)
    else if (!changed) await cache.set(keys, token, predecessor?.refused ? predecessor.token : undefined)
    requireLife(token)
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
  function requireLife({ usableUntil, life }: AccessToken): void {
    if (clock.now() < usableUntil || life <= 0) return
    throw new GatewayError('authorization_server_unavailable', {
      reason: 'the token had expired when it came',
      retryAfterSeconds: 1,
    })
  }

  function pauseFor(request: TokenRequest, key: string): Promise<void> | undefined {
    const left = (pauses(request).get(key) ?? 0) - clock.elapsed()
    pauses(request).delete(key)
    return left > 0 ? new Promise((resolve) => void clock.setTimeout(resolve, left)) : undefined
  }

  function requireScope({ client, scopes, exactScope, kindKey }: TokenRequest, scope: string | undefined): void {
    const granted = parseScope(scope ?? '')
    const missing = scope === undefined ? [] : scopes.filter((value) => !granted.includes(value))
    if (missing.length === 0) return
    const reason = `the scope granted lacks ${missing.join(' ')}`
    if (exactScope) throw new GatewayError('authorization_server_refused', { reason })
    const kind = kindKey()
    if (!warned.has(kind)) log.warn({ client, reason }, 'narrower scope')
    warned.set(kind, true)
  }

  return { fetch }
}
