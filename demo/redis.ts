import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import type { Printer } from './print.ts'
import type { Stage } from './stage.ts'
import { type Check, type Step, takeStep } from './step.ts'

/** A Redis that the gateways of this demo share their tokens in. */
export interface SharedRedis {
  /** What the names of the demo's own keys begin with; nothing else is touched. */
  readonly keyPrefix: string
  /** What the configuration reads, `REDIS_URL` and a key of this demo alone. */
  readonly environment: { readonly REDIS_URL: string; readonly CACHE_KEY: string }
  /** The tokens as they lie there. */
  entries(): Promise<Entry[]>
  /** Removes everything that the demo has left there. */
  stop(): Promise<void>
}

interface Entry {
  readonly name: string
  readonly value: string
  readonly secondsLeft: number
}

/** @throws {Error} if there is no Redis, or none for this user, with the reason */
export async function openRedis(url: string): Promise<SharedRedis> {
  const keyPrefix = `scopegate-demo-${randomBytes(4).toString('hex')}:`
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: 2000,
    retryStrategy: null,
    maxRetriesPerRequest: 1,
  })
  let reason: string | undefined
  // Why it came to nothing is told here alone.
  redis.on('error', (error: Error) => {
    reason ??= error.message
  })
  try {
    await redis.connect()
    await redis.ping()
  } catch (error) {
    redis.disconnect()
    throw new Error(`the Redis at REDIS_URL cannot be used: ${reason ?? (error as Error).message}`, { cause: error })
  }
  return {
    keyPrefix,
    environment: { REDIS_URL: url, CACHE_KEY: randomBytes(32).toString('base64url') },
    entries: async () =>
      Promise.all(
        (await findKeys(redis, `${keyPrefix}*:token`)).map(async (name) => ({
          name,
          value: (await redis.get(name)) ?? '',
          secondsLeft: await redis.ttl(name),
        })),
      ),
    async stop() {
      const left = await findKeys(redis, `${keyPrefix}*`)
      if (left.length > 0) await redis.del(...left)
      redis.disconnect()
    },
  }
}

async function findKeys(redis: Redis, pattern: string): Promise<string[]> {
  const found = new Set<string>()
  let cursor = '0'
  do {
    const [next, names] = await redis.scan(cursor, 'MATCH', pattern, 'COUNT', 1000)
    for (const name of names) found.add(name)
    cursor = next
  } while (cursor !== '0')
  return [...found]
}

/** With a Redis: shows the token as it lies there, and a second gateway that takes it from there. */
export async function showRedis(stage: Stage, printer: Printer, check: Check): Promise<void> {
  const { authorizationServer, redis, secondGateway: gateway } = stage
  if (!redis || !gateway) return
  printer.heading('The token lies in Redis, and tells nothing there')
  printer.say('The gateway put it there when it had fetched it. Whoever can read Redis sees this.')
  await showEntries(redis, printer, check)
  const step: Step = {
    heading: 'Another gateway takes the token from there',
    say: 'A second process with the same configuration, which has never asked for a token.',
    request: { origin: gateway.url('legacy'), path: '/countries' },
    gateway,
    expect: (answer, log) => [
      [answer.status === 200, 'the API answers 200'],
      [log?.token === 'redis', 'the token came from Redis'],
      [authorizationServer.tokensAskedBy('legacy-reports') === 1, 'the authorization server was not asked again'],
    ],
  }
  await takeStep(step, printer, check)
}

async function showEntries(redis: SharedRedis, printer: Printer, check: Check): Promise<void> {
  const entries = await redis.entries()
  for (const { name, value, secondsLeft } of entries) {
    printer.command(`redis-cli -u "$REDIS_URL" get '${name}'`)
    printer.answer([`${value.slice(0, 120)}… (${value.length} characters, gone in ${secondsLeft} s)`])
  }
  check(entries.length === 1, 'there is one entry, for the one token')
  check(
    entries.every(({ name, value }) => !isTelling(name) && !isTelling(value)),
    'neither the token nor its client or scope can be read in it',
  )
}

/** As it stands, or in base64url with dots between, as both tokens and entries are. */
function isTelling(text: string): boolean {
  const readings = [text, ...text.split('.').map((part) => Buffer.from(part, 'base64url').toString('latin1'))]
  return readings.some((reading) => /eyJhbGciOi|legacy-reports|country\.read/.test(reading))
}
