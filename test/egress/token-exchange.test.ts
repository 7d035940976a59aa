import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createLog } from '../../src/base/log.ts'
import { createAccessToken } from '../../src/egress/access-token.ts'
import { clientOptions, tokenOptions } from '../../src/egress/client.ts'
import type { TokenCache } from '../../src/egress/token-cache/define.ts'
import { createTokenCache, tokenCacheOptions } from '../../src/egress/token-cache/index.ts'
import { createMemoryTokenCache } from '../../src/egress/token-cache/memory.ts'
import { createTokenRequests, type TokenExchange } from '../../src/egress/token-request.ts'
import { createTokenSource, type TokenSource } from '../../src/egress/token-source.ts'
import { createServer, failureOf } from '../authorization-server/asking.ts'
import { answerWith } from '../harness/authorization-server.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { createTestLog, type TestLog } from '../harness/logs.ts'
import { type RunningRedis, startRedis } from '../harness/redis.ts'
import { createSecret, registerSecret } from '../harness/secrets.ts'
import { startUpstream, type Upstream, type UpstreamHandler } from '../harness/upstream.ts'

const second = 1000
const issuedType = 'urn:ietf:params:oauth:token-type:access_token'
const [refused, unavailable] = ['authorization_server_refused', 'authorization_server_unavailable']

let endpoint: Upstream
let clock: TestClock
let log: TestLog
const stops: (() => unknown)[] = []

/** What a token is exchanged for tells whose it was, and how often it was exchanged before. */
const issued = new Map<string, number>()
const exchangedFor = (subject: string, time = issued.get(subject) ?? 0) =>
  `${createHash('sha256').update(subject).digest('hex')}-${time}`

const issue =
  (fields: Readonly<Record<string, unknown>> = { expires_in: 300 }, refuse = ['', '']): UpstreamHandler =>
  (request, response, seen) => {
    request.resume().on('end', () => {
      const subject = new URLSearchParams(seen.body().toString()).get('subject_token') ?? ''
      const [bad, error] = refuse
      if (subject === bad) return answerWith(400, { error })(request, response)
      issued.set(subject, (issued.get(subject) ?? 0) + 1)
      const answer = { access_token: registerSecret(exchangedFor(subject)), issued_token_type: issuedType }
      answerWith(200, { ...answer, token_type: 'Bearer', ...fields })(request, response)
    })
  }

/** A process that exchanges tokens, by itself or with others at a Redis. */
function start(redis?: { readonly url: string; readonly key: string }, random = () => 0) {
  const server = createServer({ token_endpoint: `${endpoint.url}/token` }, clock)
  const options = tokenCacheOptions.parse(
    redis ? { redis: { url: redis.url, encryption_keys: [redis.key], allow_plain: true } } : {},
  )
  const cache = createTokenCache(options, { clock, log: createLog(log) })
  const source = createTokenSource({ clock, log: createLog(log), cache, options, random })
  const client = clientOptions.parse({ authorization_server: 'sso', client_id: 'gateway', client_secret: clientSecret })
  const exchange = (more: object = {}) => {
    const token = tokenOptions.parse({ client: 'gateway', exchange: 'subject_token', ...more })
    return { requestFor: createTokenRequests({ name: 'gateway', client, server, token, cache }) }
  }
  stops.push(source.close, server.close)
  return { source, exchange }
}
const clientSecret = createSecret()

const end = () => clock.now() + 600 * second
const ask = async (source: TokenSource, exchange: TokenExchange, token: string, expiresAt = end()) => {
  const obtained = await source.get(exchange.requestFor({ token, expiresAt }))
  return [obtained.token.value.read(), obtained.source]
}
const asked = () => endpoint.requests.length
const subject = () => createSecret()

beforeEach(async () => {
  clock = createTestClock()
  log = createTestLog()
  issued.clear()
  endpoint = await startUpstream(issue())
  stops.push(endpoint.stop)
})
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

/** Many callers, who come in any order, in turns and all at once, at routes that want other tokens, in two processes. */
const visits = fc.array(fc.record({ caller: fc.nat(7), route: fc.nat(1), process: fc.nat(1), atOnce: fc.boolean() }), {
  minLength: 1,
  maxLength: 25,
})
const routes = [{}, { audience: 'other' }]

async function expectNobodyElses(redis?: { readonly url: string; readonly key: string }): Promise<void> {
  const processes = [start(redis), start(redis)].map(({ source, exchange }) => ({
    source,
    exchanges: routes.map(exchange),
  }))
  await Promise.all(processes.map(({ source }) => source.ready()))
  await fc.assert(
    fc.asyncProperty(visits, async (visited) => {
      const callers = Array.from({ length: 8 }, subject)
      const waiting: Promise<unknown>[] = []
      for (const { caller, route, process, atOnce } of visited) {
        const { source, exchanges } = processes[process] ?? expect.unreachable()
        const token = callers[caller] ?? ''
        const visit = ask(source, exchanges[route] ?? expect.unreachable(), token).then(([value = '']) =>
          expect(value.split('-')[0]).toBe(exchangedFor(token).split('-')[0]),
        )
        waiting.push(visit)
        if (!atOnce) await visit
      }
      await Promise.all(waiting)
      // With a Redis both processes share what came; each by itself has its own.
      const kinds = visited.map(({ caller, route, process }) => [caller, route, redis ? 0 : process].join())
      const exchanges = callers.reduce((sum, token) => sum + (issued.get(token) ?? 0), 0)
      expect(exchanges).toBe(new Set(kinds).size)
    }),
    { numRuns: 40 },
  )
}

describe('two callers never get each other’s token', () => {
  it('in one process', () => expectNobodyElses(), 60_000)

  it('in processes that share a Redis, where nothing tells of either', async () => {
    const redis: RunningRedis = await startRedis()
    stops.push(redis.stop)
    await expectNobodyElses({ url: redis.url, key: registerSecret(randomBytes(32).toString('base64url')) })
    const names = (await redis.cli('keys', '*')).split('\n')
    expect(names.filter((name) => !/^scopegate:\{([\w-]{43}\}:(token|lease)|probe-\d+\}:probe)$/.test(name))).toEqual(
      [],
    )
    const kept = await redis.cli('mget', ...names.filter((name) => name.endsWith(':token')))
    expect(names.length).toBeGreaterThan(20)
    for (const token of issued.keys()) {
      expect(kept).not.toContain(token)
      expect(kept).not.toContain(exchangedFor(token).slice(0, 20))
    }
  }, 60_000)

  it('whatever else differs: what the token is said to be, the scope, the audience', async () => {
    const { exchange } = start()
    const wishes = [{}, { scopes: ['a'] }, { audience: 'a' }, { resource: 'urn:a' }, { subject_token_type: 'jwt' }]
    const token = subject()
    const keys = wishes.map((wish) => exchange(wish).requestFor({ token, expiresAt: end() }).keys()[0])
    expect(new Set(keys).size).toBe(wishes.length)
    const same = exchange({ subject_token_type: 'access_token' }).requestFor({ token, expiresAt: end() + 1 })
    expect(same.keys()[0]).toBe(keys[0])
  })
})

describe('what came for a token', () => {
  it('is one for all who come at once with it, and for those who come later', async () => {
    const { source, exchange } = start()
    const token = subject()
    const all = await Promise.all(Array.from({ length: 100 }, () => ask(source, exchange(), token)))
    expect(new Set(all.map(String))).toEqual(new Set([String([exchangedFor(token, 1), 'fetched'])]))
    expect(source.held(exchange().requestFor({ token, expiresAt: end() }))?.source).toBe('memory')
    expect(asked()).toBe(1)
  })

  it('is good no longer than the token itself', async () => {
    const { source, exchange } = start()
    const [token, expiresAt] = [subject(), clock.now() + 100 * second]
    await ask(source, exchange(), token, expiresAt)
    const held = () => source.held(exchange().requestFor({ token, expiresAt }))
    await clock.advance(95 * second - 1)
    expect(held()?.token.obtainedAt).toBe(expiresAt - 100 * second)
    expect((held()?.token.life ?? 0) / second).toBe(100)
    await clock.advance(1)
    expect(held()).toBeUndefined()
  })

  it('serves who comes within the tolerance for its server’s clock, and is not kept', async () => {
    const { source, exchange } = start()
    const token = subject()
    expect(await ask(source, exchange(), token, clock.now() - 1)).toEqual([exchangedFor(token, 1), 'fetched'])
    const next = ask(source, exchange(), token, clock.now() - 1)
    await clock.advance(second)
    expect(await next).toEqual([exchangedFor(token, 2), 'fetched'])
  })

  it('is renewed only when its caller comes again: nobody acts for one who does not', async () => {
    const { source, exchange } = start()
    const token = subject()
    const expiresAt = end()
    await ask(source, exchange(), token, expiresAt)
    await ask(source, exchange(), token, expiresAt)
    await clock.advance(250 * second)
    expect([asked(), clock.pendingTimers()]).toEqual([1, 0])
    expect(await ask(source, exchange(), token, expiresAt)).toEqual([exchangedFor(token, 1), 'memory'])
    await vi.waitFor(() => expect(asked()).toBe(2))
    await vi.waitFor(async () =>
      expect(await ask(source, exchange(), token, expiresAt)).toEqual([exchangedFor(token, 2), 'memory']),
    )
  })

  it.each(['invalid_grant', 'invalid_request'])(
    'goes with the token that its server takes no more: %s',
    async (error) => {
      const redis = await startRedis()
      stops.push(redis.stop)
      const shared = { url: redis.url, key: registerSecret(randomBytes(32).toString('base64url')) }
      const [one, other] = [start(shared), start(shared)]
      await Promise.all([one.source.ready(), other.source.ready()])
      const [token, expiresAt] = [subject(), end()]
      await ask(one.source, one.exchange(), token, expiresAt)
      endpoint.answer(answerWith(400, { error }))
      await clock.advance(250 * second)
      await ask(one.source, one.exchange(), token, expiresAt)
      await vi.waitFor(() => expect(one.source.held(one.exchange().requestFor({ token, expiresAt }))).toBeUndefined())
      await vi.waitFor(async () => expect(await redis.cli('keys', '*:token')).toBe(''))
      expect((await failureOf(ask(other.source, other.exchange(), token, expiresAt))).options.reason).toContain(error)
    },
  )

  it('stays in force while its server is away, and callers write no log full', async () => {
    const { source, exchange } = start()
    const [token, expiresAt] = [subject(), end()]
    await ask(source, exchange(), token, expiresAt)
    endpoint.answer(answerWith(503, 'busy'))
    await clock.advance(250 * second)
    for (let count = 0; count < 20; count++) {
      expect(await ask(source, exchange(), token, expiresAt)).toEqual([exchangedFor(token, 1), 'memory'])
      await clock.advance(100)
    }
    expect(log.find({ msg: 'renewal failed' })).toHaveLength(1)
    expect(asked()).toBe(2)
  })

  it('is forgotten before a legacy service’s token is, however many callers there are', async () => {
    const { exchange } = start()
    const cache: TokenCache = {
      ...createMemoryTokenCache(),
      get: async () => createAccessToken('from-somewhere', { obtainedAt: clock.now(), life: 300 * second }),
    }
    const options = { refresh_before_expiry: 60 * second, default_expires_in: 300 * second }
    const source = createTokenSource({ clock, log: createLog(log), cache, options })
    stops.push(source.close)
    const own = { ...exchange().requestFor({ token: 'own', expiresAt: end() }), endsAt: undefined }
    await source.get(own)
    const callers = exchange()
    const caller = (number: number) => callers.requestFor({ token: String(number), expiresAt: end() })
    for (let number = 0; number <= 10_000; number++) await source.get(caller(number))
    expect(source.held(own)?.source).toBe('memory')
    expect([source.held(caller(0)), source.held(caller(10_000))?.source]).toEqual([undefined, 'memory'])
  }, 60_000)
})

describe('a token that is refused in exchange', () => {
  it.each([
    ['invalid_grant', 'invalid_token'],
    ['invalid_request', refused],
    ['invalid_target', refused],
    ['invalid_scope', refused],
    ['access_denied', refused],
  ])('for %s shuts nobody else out, and is not asked for in vain', async (error, code) => {
    const { source, exchange } = start()
    const bad = subject()
    endpoint.answer(issue({ expires_in: 300 }, [bad, error]))
    const codes = async () => (await failureOf(ask(source, exchange(), bad))).code
    expect(await Promise.all(Array.from({ length: 50 }, codes))).toEqual(Array(50).fill(code))
    expect([await codes(), asked()]).toEqual([code, 1])
    await ask(source, exchange(), subject())
    expect([await codes(), asked()]).toEqual([code, 2])
    await clock.advance(second)
    expect([await codes(), asked()]).toEqual([code, 3])
    await clock.advance(second)
    expect([await codes(), asked()]).toEqual([code, 3])
  })

  it.each(['unauthorized_client', 'unsupported_grant_type'])(
    'for %s, which is no caller’s fault, is for all, though no storm comes of many callers',
    async (error) => {
      const { source, exchange } = start()
      endpoint.answer(answerWith(400, { error }))
      for (let count = 0; count < 50; count++)
        expect((await failureOf(ask(source, exchange(), subject()))).code).toBe(refused)
      expect(asked()).toBe(1)
      endpoint.answer(issue())
      await ask(source, exchange({ audience: 'other' }), subject())
      await clock.advance(second)
      await ask(source, exchange(), subject())
    },
  )

  it('by a server that is away is asked for by one alone', async () => {
    const { source, exchange } = start()
    endpoint.answer(answerWith(503, 'busy'))
    await failureOf(ask(source, exchange(), subject()))
    for (let count = 0; count < 50; count++)
      expect((await failureOf(ask(source, exchange(), subject()))).code).toBe(unavailable)
    expect(asked()).toBe(1)
  })

  it('with a narrower scope is told of once, and not for each caller', async () => {
    const { source, exchange } = start()
    endpoint.answer(issue({ expires_in: 300, scope: 'a' }))
    for (let count = 0; count < 5; count++) await ask(source, exchange({ scopes: ['a', 'b'] }), subject())
    expect(log.find({ msg: 'narrower scope' })).toHaveLength(1)
  })
})
