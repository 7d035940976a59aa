import { TokenRefusal } from '../authorization-server/token-refusal.ts'
import { createBoundedMap } from '../base/bounded-map.ts'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { type AccessToken, expiryOf, renewalTime } from './access-token.ts'
import { createHeldTokens, type HeldToken } from './held-tokens.ts'
import type { TokenCache } from './token-cache/define.ts'
import type { TokenCacheOptions } from './token-cache/index.ts'
import { createTokenFetcher, type FetchedToken, type Predecessor } from './token-fetcher.ts'
import { apart, SubjectRefusal, type TokenRequest } from './token-request.ts'

export interface ObtainedToken {
  readonly token: AccessToken
  readonly source: 'memory' | 'redis' | 'fetched'
}

/** Gets tokens, keeps them, and renews those in use before they expire. */
export interface TokenSource {
  /** Resolves, soon, once it is known whether there are other processes' tokens to be had. */
  ready(): Promise<void>
  /** The token that this process holds, if it is good now. */
  held(request: TokenRequest): ObtainedToken | undefined
  /**
   * A token that is good now. However many ask for the same one at once, the authorization server is asked once; whoever
   * goes away meanwhile does not end that for the others.
   * @throws {GatewayError} what the token endpoint's answer means, or `caller_gone` once `signal` is aborted
   */
  get(request: TokenRequest, signal?: AbortSignal): Promise<ObtainedToken>
  /**
   * The successor of a token that an upstream refused. At most one is forced in 10 s, and a token younger than that is not
   * replaced; then, or where none is to be had, `undefined`. The others go on with the old one until the new one is there.
   */
  replace(request: TokenRequest, refused: AccessToken): Promise<ObtainedToken | undefined>
  /** Ends the background work and forgets every token. */
  close(): Promise<void>
}

export interface TokenSourceContext {
  readonly clock: Clock
  readonly log: Log
  readonly cache: TokenCache
  readonly options: Pick<TokenCacheOptions, 'refresh_before_expiry' | 'default_expires_in'>
  readonly random?: () => number
}

/** A renewal that failed is tried again after this, as long as the old token is good. */
const renewalInterval = 5000
/** So old a token must be before an upstream's word against it counts. */
export const refusableAge = 10_000

export function createTokenSource({
  clock,
  log,
  cache,
  options,
  random = Math.random,
}: TokenSourceContext): TokenSource {
  const tokens = apart(() => createHeldTokens(clock))
  const fetcher = createTokenFetcher({ clock, log, cache, defaultLife: options.default_expires_in })
  const flights = new Map<string, Promise<ObtainedToken>>()
  const forcedAt = apart(() => createBoundedMap<number>())
  let closed = false

  async function get(request: TokenRequest, signal?: AbortSignal): Promise<ObtainedToken> {
    const preparing = request.prepare?.()
    if (preparing) await untilAborted(preparing, signal)
    const found = held(request) ?? takeToken(request, request.keys('again'))
    if (found) return found
    const [key = ''] = request.keys()
    const obtained = await untilAborted(obtain(request, key), signal)
    take(request, [key])
    return obtained
  }

  function held(request: TokenRequest): ObtainedToken | undefined {
    return request.prepare?.() ? undefined : takeToken(request, request.keys())
  }

  function takeToken(request: TokenRequest, keys: readonly string[]): ObtainedToken | undefined {
    const taken = take(request, keys)
    return taken && { token: taken.token, source: 'memory' }
  }

  /** The token that is held, which is in use from now on. */
  function take(request: TokenRequest, [key = '']: readonly string[]): HeldToken | undefined {
    const held = tokens(request).get(key)
    if (!held) return undefined
    held.used = true
    if (clock.elapsed() >= held.renewAt && !held.renewing) void renew(request, key, held)
    return held
  }

  /** One at a time for each token, whoever asks: callers, a renewal, or an upstream's refusal. */
  function obtain(request: TokenRequest, key: string, predecessor?: Predecessor): Promise<ObtainedToken> {
    const running = flights.get(key)
    if (running) return running
    const client = request.clientKey()
    const flight = fetcher
      .fetch(request, predecessor)
      .catch((error: unknown) => fetchWithChangedCredential(request, client, error))
      .catch((error: unknown) => dropRefused(request, error, predecessor))
      .then((fetched) => keep(request, fetched))
      .finally(() => flights.delete(key))
    flights.set(key, flight)
    return flight
  }

  /**
   * The secret may have been changed in its file, or by another registration, while the old one was refused: then it is
   * tried once with the new one.
   */
  async function fetchWithChangedCredential(
    request: TokenRequest,
    client: string,
    error: unknown,
  ): Promise<FetchedToken> {
    if (!(error instanceof TokenRefusal && error.ofClient)) throw error
    if (request.clientKey('again') === client && !error.inTls) await request.renewRegistration?.()
    if (request.clientKey() !== client) return fetcher.fetch(request)
    throw error
  }

  /** A caller's token that its server will not have any more takes along what came for it, in every process. */
  async function dropRefused(request: TokenRequest, error: unknown, predecessor?: Predecessor): Promise<never> {
    if (predecessor && error instanceof SubjectRefusal) {
      const keys = request.keys()
      for (const key of keys) tokens(request).drop(key)
      await cache.remove(keys, predecessor.token)
    }
    throw error
  }

  function keep(request: TokenRequest, { token, source, key }: FetchedToken): ObtainedToken {
    if (closed || key === undefined || token.usableUntil <= clock.now()) return { token, source }
    const renewAt = renewalTime(token, options.refresh_before_expiry, random())
    if (request.endsAt === undefined) tokens(request).hold(key, token, renewAt, () => renewIfUsed(request, key))
    // Only with a caller who has just been let in: nothing is done in the name of one whose token may be withdrawn.
    else tokens(request).hold(key, token, endsWithCaller(request, token) ? Number.POSITIVE_INFINITY : renewAt)
    return { token, source }
  }

  function renewIfUsed(request: TokenRequest, key: string): void {
    const held = tokens(request).get(key)
    if (held?.used) void renew(request, key, held)
  }

  function renewLater(request: TokenRequest, key: string, held: HeldToken, delay: number): void {
    tokens(request).later(held, delay, () => {
      if (request.endsAt === undefined) void renew(request, key, held)
    })
  }

  /** In the background: nobody waits for it, and the old token serves until the new one is there. */
  async function renew(request: TokenRequest, key: string, held: HeldToken): Promise<void> {
    // After a change of the credential nobody asks for the token of the old one any more.
    if (request.keys()[0] !== key) return
    held.renewing = true
    try {
      await obtain(request, key, { token: held.token, refused: false })
    } catch (error) {
      if (closed) return
      const told =
        error instanceof GatewayError ? { code: error.code, reason: error.options.reason } : { code: 'internal_error' }
      log.warn({ client: request.client, ...told }, 'renewal failed')
      // Too near its end, the old token is not renewed any more: the next request after it waits for a new one.
      if (!closed && clock.elapsed() + renewalInterval < held.goodUntil) renewLater(request, key, held, renewalInterval)
    }
  }

  async function replace(request: TokenRequest, refused: AccessToken): Promise<ObtainedToken | undefined> {
    const [key = ''] = request.keys()
    const held = tokens(request).get(key)
    if (held && held.token.id !== refused.id) return { token: held.token, source: 'memory' }
    const now = clock.elapsed()
    const sinceForced = now - (forcedAt(request).get(key) ?? Number.NEGATIVE_INFINITY)
    const mayForce = clock.now() - refused.obtainedAt >= refusableAge && sinceForced >= refusableAge
    // It expired on the way: whoever asks next gets another one anyway.
    const isOver = refused.usableUntil <= clock.now()
    if (!isOver && !mayForce && !flights.has(key)) return undefined
    if (!isOver && mayForce) forcedAt(request).set(key, now)
    const obtained = await obtain(request, key, { token: refused, refused: true })
    return obtained.token.id === refused.id ? undefined : obtained
  }

  return {
    ready: () => cache.ready(),
    held,
    get,
    replace,
    async close() {
      closed = true
      for (const held of tokens.both) held.clear()
      await cache.close()
    },
  }
}

/** True for a token whose successor would last no longer: it is good for as long as its caller's is. */
function endsWithCaller({ endsAt }: TokenRequest, token: AccessToken): boolean {
  return endsAt !== undefined && endsAt <= (expiryOf(token) ?? 0)
}

/** Waits for the work or for the caller's leaving, whichever comes first. */
async function untilAborted<Value>(work: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
  if (!signal) return work
  const { promise: left, reject } = Promise.withResolvers<never>()
  const leave = () => reject(new GatewayError('caller_gone'))
  if (signal.aborted) leave()
  signal.addEventListener('abort', leave, { once: true })
  try {
    return await Promise.race([work, left])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}
