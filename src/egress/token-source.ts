import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { Log } from '../base/log.ts'
import { parseScope } from '../base/scope.ts'
import { type AccessToken, createAccessToken } from './access-token.ts'
import type { TokenCache } from './token-cache/define.ts'
import type { TokenCacheOptions } from './token-cache/index.ts'
import type { TokenRequest } from './token-request.ts'

export interface ObtainedToken {
  readonly token: AccessToken
  readonly source: 'memory' | 'fetched'
}

/** Gets tokens, keeps them, and renews those in use before they expire. */
export interface TokenSource {
  /**
   * A token that is good now. However many ask for the same one at once, the authorization server is asked once; whoever
   * goes away meanwhile does not end that for the others.
   * @throws {GatewayError} what the token endpoint's answer means, or `caller_gone` once `signal` is aborted
   */
  get(request: TokenRequest, signal?: AbortSignal): Promise<ObtainedToken>
  /** Ends the background work and forgets every token. */
  close(): void
}

export interface TokenSourceContext {
  readonly clock: Clock
  readonly log: Log
  readonly cache: TokenCache
  readonly options: TokenCacheOptions
  readonly random?: () => number
}

/** A token that is no good any more when it comes is asked for again after this. */
const shortestInterval = 1000
/** A renewal that failed is tried again after this, as long as the old token is good. */
const renewalInterval = 5000

export function createTokenSource({
  clock,
  log,
  cache,
  options,
  random = Math.random,
}: TokenSourceContext): TokenSource {
  const flights = new Map<string, Promise<AccessToken>>()
  const renewals = new Map<string, () => void>()
  /** Keys whose token was used since it was obtained. */
  const used = new Set<string>()
  const warned = new Set<string>()
  /** Keys whose token came without life in it, and when they may be asked for again. */
  const pauses = new Map<string, number>()
  let closed = false

  async function get(request: TokenRequest, signal?: AbortSignal): Promise<ObtainedToken> {
    const key = request.key()
    const token = cache.get(key)
    if (token && clock.now() < token.usableUntil) {
      used.add(key)
      if (clock.now() >= token.renewAt && !renewals.has(key)) void renew(request, key)
      return { token, source: 'memory' }
    }
    const fetched = await untilAborted(fetchOnce(request, key), signal)
    used.add(key)
    return { token: fetched, source: 'fetched' }
  }

  function fetchOnce(request: TokenRequest, key: string): Promise<AccessToken> {
    const running = flights.get(key)
    if (running) return running
    const flight = fetchToken(request, key).finally(() => flights.delete(key))
    flights.set(key, flight)
    return flight
  }

  async function fetchToken(request: TokenRequest, key: string): Promise<AccessToken> {
    await pauseFor(key)
    const sentAt = clock.now()
    const issued = await request.send()
    requireScope(request, key, issued.scope)
    const token = createAccessToken(issued.accessToken, {
      sentAt,
      expiresIn: issued.expiresIn,
      defaultExpiresIn: options.default_expires_in,
      renewBeforeExpiry: options.refresh_before_expiry,
      jitter: random(),
    })
    if (clock.now() < token.usableUntil) keep(request, key, token)
    else pauses.set(key, sentAt + shortestInterval)
    requireLife(token, issued.expiresIn)
    return token
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
    const left = (pauses.get(key) ?? 0) - clock.now()
    pauses.delete(key)
    return left > 0 ? new Promise((resolve) => void clock.setTimeout(resolve, left)) : undefined
  }

  function keep(request: TokenRequest, key: string, token: AccessToken): void {
    if (closed) return
    cache.set(key, token)
    used.delete(key)
    scheduleRenewal(request, key, token.renewAt - clock.now())
  }

  function scheduleRenewal(request: TokenRequest, key: string, delay: number): void {
    renewals.get(key)?.()
    const cancel = clock.setTimeout(() => {
      renewals.delete(key)
      if (used.has(key)) void renew(request, key)
    }, delay)
    renewals.set(key, cancel)
  }

  /** In the background: nobody waits for it, and the old token serves until the new one is there. */
  async function renew(request: TokenRequest, key: string): Promise<void> {
    renewals.get(key)?.()
    renewals.set(key, () => {})
    try {
      await fetchOnce(request, key)
    } catch (error) {
      if (closed) return
      const { code, reason } =
        error instanceof GatewayError
          ? { code: error.code, reason: error.options.reason }
          : { code: 'internal_error', reason: undefined }
      log.warn({ client: request.client, code, reason }, 'renewal failed')
      // Too near its end, the old token is not renewed any more: the next request after it waits for a new one.
      const token = cache.get(key)
      if (token && clock.now() + renewalInterval < token.usableUntil) scheduleRenewal(request, key, renewalInterval)
    }
  }

  function requireScope({ client, scopes, exactScope }: TokenRequest, key: string, scope: string | undefined): void {
    const granted = parseScope(scope ?? '')
    const missing = scope === undefined ? [] : scopes.filter((value) => !granted.includes(value))
    if (missing.length === 0) return
    const reason = `the scope granted lacks ${missing.join(' ')}`
    if (exactScope) throw new GatewayError('authorization_server_refused', { reason })
    if (!warned.has(key)) log.warn({ client, reason }, 'narrower scope')
    warned.add(key)
  }

  return {
    get,
    close() {
      closed = true
      for (const cancel of renewals.values()) cancel()
      renewals.clear()
      cache.clear()
    },
  }
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
