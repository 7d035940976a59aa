import type { Clock } from '../../base/clock.ts'
import { errorTrail, type Log } from '../../base/log.ts'
import { within } from './loop-time.ts'
import type { RedisClient } from './redis-client.ts'
import { tryOut } from './redis-scripts.ts'

/**
 * Redis as something that may be there or not. The first command that meets a fault waits for at most 50 ms; from then on
 * nobody waits, until it has been found in the background that Redis works again.
 */
export interface RedisConnection {
  /** What the script answers, or `undefined` if Redis cannot be had. Never rejects. */
  evaluate(script: string, key: CacheKey, ...args: readonly string[]): Promise<{ readonly answer: unknown } | undefined>
  /** Calls back for every message on the channel. Some may get lost. */
  onMessage(listener: (message: string) => void): void
  /** Resolves once Redis is there or found missing. */
  settled(): Promise<void>
  close(): void
}

/** A key, and its hash tag: what has the same one is kept in the same part of a cluster. */
export interface CacheKey {
  readonly key: string
  readonly tag: string
}

export interface RedisConnectionContext {
  createClient(events: { onEnd(): void; onError(error: unknown): void }): Promise<RedisClient>
  /** Where something that Redis is tried out with is kept. */
  probeKey(tag: string): CacheKey
  readonly channel: string
  readonly clock: Clock
  readonly log: Log
}

const patience = 50
/** So many, that each part of a cluster keeps one of them. */
const probeTags = Array.from({ length: 12 }, (_, index) => `probe-${index}`)
const connectPatience = 2000
const probeInterval = 500
/** A connection that did not live so long is not replaced at once. */
const shortLife = 1000
/** A cluster where nothing has worked for so long is connected anew. */
const deadAfter = 5000

export function createRedisConnection({
  createClient,
  probeKey,
  channel,
  clock,
  log,
}: RedisConnectionContext): RedisConnection {
  const listeners: ((message: string) => void)[] = []
  /** Parts of a cluster that are lost while others work, and how their next probe is cancelled. */
  const lostParts = new Map<string, () => void>()
  let client: RedisClient | undefined
  let connectedAt = 0
  let workedAt = 0
  /** Under way while it is not known whether Redis can be had. */
  let attempt: Promise<void> | undefined
  let told = false
  let closed = false
  let cancelProbe = () => {}

  async function connect(): Promise<void> {
    let fresh: RedisClient | undefined
    let reason: string | undefined
    try {
      fresh = await createClient({
        onEnd: () => fresh && fresh === client && replace(),
        onError: (error) => {
          reason ??= reasonOf(error)
        },
      })
      if (!closed) await within(connectPatience, open(fresh), clock)
      if (closed) return fresh.close()
      client = fresh
      connectedAt = workedAt = clock.elapsed()
      found({})
    } catch (error) {
      fresh?.close()
      if (closed) return
      lost({}, reason ?? reasonOf(error))
      cancelProbe = clock.setTimeout(() => void connect(), probeInterval)
    } finally {
      attempt = undefined
    }
  }

  async function open(fresh: RedisClient): Promise<void> {
    await fresh.connect()
    // Of a cluster, one part that works is enough.
    await Promise.any(probeTags.map((tag) => prove(fresh, tag)))
    await fresh.subscribe(channel, tell)
  }

  function prove(on: RedisClient, tag: string): Promise<unknown> {
    return within(patience, on.evaluate(tryOut, probeKey(tag).key, channel), clock)
  }

  function tell(message: string): void {
    for (const listener of listeners) listener(message)
  }

  function lost(where: { node?: string }, reason: string): void {
    if (told && where.node === undefined) return
    told ||= where.node === undefined
    log.warn({ ...where, reason }, 'redis lost')
  }

  function found(where: { node?: string }): void {
    if (where.node === undefined && !told) return
    if (where.node === undefined) told = false
    log.info(where, 'redis found')
  }

  /** Gives the connections up. */
  function drop(): void {
    client?.close()
    client = undefined
    for (const cancel of lostParts.values()) cancel()
    lostParts.clear()
  }

  /** A connection has ended: that alone is no fault, Redis may only have been tired of it. */
  function replace(): void {
    const young = clock.elapsed() - connectedAt < shortLife
    drop()
    if (closed || attempt) return
    if (!young) attempt = connect()
    else {
      lost({}, 'CLOSED')
      cancelProbe = clock.setTimeout(() => void connect(), probeInterval)
    }
  }

  function fail(on: RedisClient, tag: string, error: unknown): void {
    if (on !== client || closed) return
    const part = on.partOf(tag)
    if (part !== '') losePart(on, part, tag, reasonOf(error))
    else if (isClosed(error)) replace()
    else {
      drop()
      lost({}, reasonOf(error))
      cancelProbe = clock.setTimeout(() => void connect(), 0)
    }
  }

  function losePart(on: RedisClient, part: string, tag: string, reason: string): void {
    if (lostParts.has(part)) return
    lost({ node: part }, reason)
    const probeLater = () =>
      void lostParts.set(
        part,
        clock.setTimeout(() => void probe(), probeInterval),
      )
    const probe = async () => {
      const fault = await prove(on, tag).then(() => undefined, reasonOf)
      if (on !== client) return
      if (fault === undefined) {
        workedAt = clock.elapsed()
        lostParts.delete(part)
        found({ node: part })
      } else if (clock.elapsed() - workedAt > deadAfter) {
        drop()
        lost({}, fault)
        void connect()
      } else probeLater()
    }
    probeLater()
  }

  attempt = connect()
  return {
    async evaluate(script, { key, tag }, ...args) {
      if (attempt) await waitForAttempt()
      const on = client
      if (!on || lostParts.has(on.partOf(tag))) return undefined
      try {
        const answer = await within(patience, on.evaluate(script, key, ...args), clock)
        workedAt = clock.elapsed()
        return { answer }
      } catch (error) {
        // Somebody else's value under one name is no trouble with Redis, and is overwritten.
        if (reasonOf(error) !== 'WRONGTYPE') fail(on, tag, error)
        return undefined
      }
    },
    onMessage: (listener) => void listeners.push(listener),
    settled: async () => attempt,
    close() {
      closed = true
      cancelProbe()
      drop()
    },
  }

  /** Only the first ones wait. */
  async function waitForAttempt(): Promise<void> {
    if (!attempt) return
    try {
      await within(patience, attempt, clock)
    } catch {
      attempt = undefined
      if (!client && !closed) lost({}, 'TIMEOUT')
    }
  }
}

function isClosed(error: unknown): boolean {
  return error instanceof Error && /^(Connection is closed|Stream isn't writeable)/.test(error.message)
}

/** A word for the log. Messages stay out: they can quote a command, and that may be a password. */
function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return reasonOf(error.errors[0])
  const { code, message } = Object(error)
  if (typeof code === 'string') return code
  if (/user executing the script|ACL failure in script/.test(String(message))) return 'NOPERM'
  // Redis's own errors begin with their code: WRONGPASS, NOPERM, READONLY.
  const [, word] = /(?:^|Last error: (?:\w*Error: )?)([A-Z]{3,30})\b/.exec(String(message)) ?? []
  return word ?? errorTrail(error)
}
