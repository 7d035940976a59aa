import { z } from 'zod'
import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { errorTrail, type Log } from '../base/log.ts'
import { duration, ruleOverMap } from '../base/scalars.ts'
import type { Soon } from '../base/soon.ts'
import { fetchKeys, type KeySetServer } from './key-set-document.ts'
import { createKeyTeller } from './left-out-keys.ts'
import { pauseOf } from './metadata.ts'
import type { PublicKey } from './public-key.ts'
import type { SignatureAlgorithm } from './signature-algorithms.ts'

const leastRefresh = 10_000
const leastCooldown = 1000

/** How an authorization server's public keys are kept. */
export const keySetOptions = z
  .strictObject({
    refresh: duration()
      .refine((refresh) => refresh >= leastRefresh, 'is less than 10s, and would keep the server busy; make it longer')
      .prefault('10m')
      .describe('how often the keys are fetched anew; 10s at least'),
    cooldown: duration()
      .refine(
        (cooldown) => cooldown >= leastCooldown,
        'is less than 1s, so that forged tokens would flood the server; make it longer',
      )
      .prefault('10s')
      .describe('how long after a fetch a token with an unknown key does not cause another; 1s at least'),
    keep: duration().prefault('24h').describe('how long the last keys are used while the server gives no new ones'),
  })
  .refine(({ refresh, keep }) => !(keep < refresh), {
    ...ruleOverMap,
    path: ['keep'],
    message: 'is shorter than refresh, so that there would be no keys in between; make it longer',
  })
  .prefault({})

export type KeySetOptions = z.output<typeof keySetOptions>

/** What a token's header says of the key that it needs. */
export interface WantedKey {
  readonly alg: SignatureAlgorithm
  readonly kid: string | undefined
  /** Keys that it turned out not to be. */
  readonly tried?: readonly PublicKey[]
}

/** The public keys of one authorization server. Another server's keys never get in, whatever their `kid`. */
export interface KeySet {
  /** Fetches the keys now, and from now on in the background. */
  start(): void
  /**
   * The keys that may have made such a signature, none if there are none. Where there is none, the keys are fetched, at
   * most once per cooldown however many ask.
   * @throws {GatewayError} `keys_unavailable` where it cannot be decided: no keys at all, or too old, or an unknown key
   * id while the server gives no answer
   */
  find(wanted: WantedKey): Soon<readonly PublicKey[]>
  /**
   * True if a key that was found once is one of the server's still, and would be found again. Fetches nothing that anybody
   * waits for.
   */
  holds(key: PublicKey): boolean
  /** Ends the background work. */
  stop(): void
}

const mostCandidates = 8
const firstRetry = 1000

/** Creates the key set of a server. Nothing is fetched before `start()` or the first `find()`. */
export function createKeySet(
  server: KeySetServer,
  options: KeySetOptions,
  { clock, log }: { readonly clock: Clock; readonly log?: Log },
): KeySet {
  let keys: readonly PublicKey[] | undefined
  const tellLeftOut = createKeyTeller(server.name, log)
  let fetchedAt = 0
  let attemptedAt = Number.NEGATIVE_INFINITY
  let failures = 0
  let wantedPause = 0
  /** The last fetch failed or did not bring what was asked for: the server may have moved its keys. */
  let elsewhere = false
  let fetching: Promise<void> | undefined
  let cancelTimer = () => {}
  let stopped = false

  const age = () => clock.elapsed() - fetchedAt
  const usable = () => (keys && age() < options.keep ? keys : undefined)
  const usualPause = () =>
    keys || failures === 0 ? options.cooldown : Math.min(options.cooldown, firstRetry * 2 ** (failures - 1))
  const pause = () => Math.max(usualPause(), wantedPause)
  const pauseLeft = () => attemptedAt + pause() - clock.elapsed()

  /** One fetch at a time. Never rejects: whoever waits looks at what there is then. */
  function fetchOnce(): Promise<void> {
    fetching ??= attempt().finally(() => {
      fetching = undefined
      schedule(failures > 0 ? pause() : options.refresh)
    })
    return fetching
  }

  async function attempt(): Promise<void> {
    cancelTimer()
    try {
      const list = await fetchKeys(server, { known: keys ?? [], elsewhere, now: clock.now() })
      keys = list.keys
      fetchedAt = clock.elapsed()
      if (failures > 0) log?.info({ authorization_server: server.name }, 'keys available again')
      failures = 0
      wantedPause = 0
      elsewhere = false
      if (!stopped) tellLeftOut(list)
    } catch (error) {
      failures += 1
      wantedPause = pauseOf(error)
      elsewhere = true
      if (failures === 1 && !stopped)
        log?.warn(
          { authorization_server: server.name, error: errorTrail(error), reason: reasonOf(error) },
          'keys cannot be fetched',
        )
    } finally {
      attemptedAt = clock.elapsed()
    }
  }

  function schedule(delay: number): void {
    if (!stopped) cancelTimer = clock.setTimeout(() => void fetchOnce(), delay)
  }

  function unavailable(reason: string): GatewayError {
    return new GatewayError('keys_unavailable', {
      reason,
      retryAfterSeconds: Math.max(1, Math.ceil(pauseLeft() / 1000)),
    })
  }

  /** The timer may have slept with the machine. */
  function renewWhenStale(): void {
    if (age() >= options.refresh && !fetching && pauseLeft() <= 0) void fetchOnce()
  }

  function find(wanted: WantedKey): Soon<readonly PublicKey[]> {
    const found = candidates(usable() ?? [], wanted)
    if (found.length === 0) return fetchAndFind(wanted)
    renewWhenStale()
    return found
  }

  async function fetchAndFind(wanted: WantedKey): Promise<readonly PublicKey[]> {
    if (!usable() && (fetching || pauseLeft() <= 0)) await fetchOnce()
    else renewWhenStale()
    let found = candidates(usable() ?? [], wanted)
    if (found.length === 0 && keys && (fetching || pauseLeft() <= 0)) {
      await fetchOnce()
      found = candidates(usable() ?? [], wanted)
      if (found.length === 0) elsewhere = true
    }
    if (!usable()?.length) throw unavailable(`there are no usable keys of ${server.name}`)
    // An unknown key may be the newest: without an answer of the server nobody knows. The one that a token names is there.
    const isThere = wanted.kid !== undefined && wanted.tried !== undefined
    if (found.length === 0 && failures > 0 && !isThere)
      throw unavailable(`an unknown key, while ${server.name} gives no keys`)
    return found
  }

  return {
    start: () => void fetchOnce(),
    find,
    holds(key) {
      renewWhenStale()
      return usable()?.includes(key) ?? false
    },
    stop() {
      stopped = true
      cancelTimer()
    },
  }
}

/** The keys that may be the wanted one; without a key id every fitting key is tried, up to so many. */
export function candidates(keys: readonly PublicKey[], { alg, kid, tried = [] }: WantedKey): readonly PublicKey[] {
  return keys
    .filter((key) => (kid === undefined || key.kid === kid) && key.fits(alg) && !tried.includes(key))
    .slice(0, mostCandidates)
}

function reasonOf(error: unknown): string | undefined {
  return error instanceof GatewayError ? error.options.reason : undefined
}
