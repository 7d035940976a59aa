import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createKeySet, type KeySet, keySetOptions } from '../../src/authorization-server/key-set.ts'
import type { PublicKey } from '../../src/authorization-server/public-key.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { type AccessToken, createAccessTokenVerifier, type TrustedServer } from '../../src/ingress/access-token.ts'
import { accessTokenOptions } from '../../src/ingress/access-token-options.ts'
import { createRememberedTokens, type RememberedTokens } from '../../src/ingress/remembered-tokens.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type KeyServer, startKeyServer } from '../harness/key-server.ts'
import { createSigningKey, createToken, type Members } from '../harness/tokens.ts'
import { audience, issuer, type LateVerifier, lateVerifier, parts } from './verifier.ts'

const one = createSigningKey('ES256', 'one')
const two = createSigningKey('ES256', 'two')
const secondIssuer = 'https://login.partner.test'

let clock: TestClock
let keyServer: KeyServer
let keys: KeySet
let remembered: RememberedTokens
/** How many signatures were looked at. */
let checks = 0

beforeEach(async () => {
  clock = createTestClock()
  keyServer = await startKeyServer('sso', one.jwk)
  keys = counting(createKeySet(keyServer.server, keySetOptions.parse({ keep: '2h' }), { clock }))
  remembered = createRememberedTokens()
  checks = 0
})
afterEach(async () => {
  keys.stop()
  await keyServer.stop()
})

function counting(keySet: KeySet): KeySet {
  return {
    ...keySet,
    find(wanted) {
      checks += 1
      return keySet.find(wanted)
    },
  }
}

function trusted(options: Members = {}, more: Partial<TrustedServer> = {}): TrustedServer {
  return { name: 'sso', issuers: [issuer], keys, options: accessTokenOptions.parse({ audience, ...options }), ...more }
}

const verifierOf = (...servers: readonly TrustedServer[]) =>
  lateVerifier(createAccessTokenVerifier(servers, { clock, remembered }))
const seconds = () => Math.floor(clock.now() / 1000)

async function outcome(promise: Promise<AccessToken>): Promise<unknown> {
  try {
    return await promise
  } catch (error) {
    if (error instanceof GatewayError) return `${error.code}: ${error.options.reason}`
    throw error
  }
}

const requests = (count: number) => vi.waitFor(() => expect(keyServer.requests).toBe(count), { interval: 5 })

describe('a token that was verified', () => {
  test('is not verified again, and says the same', async () => {
    const verifier = verifierOf(trusted())
    const token = createToken(one, parts())
    const first = await verifier.verify(token)
    expect(await verifier.verify(token)).toEqual(first)
    expect(checks).toBe(1)
  })

  test('is another token as soon as one character differs', async () => {
    const verifier = verifierOf(trusted())
    const token = createToken(one, parts())
    await verifier.verify(token)
    const [head = '', , signature = ''] = token.split('.')
    const admin = Buffer.from(JSON.stringify(parts({ claims: { scope: 'admin' } }).claims)).toString('base64url')
    const others = [
      `${head}.${admin}.${signature}`,
      `${token}A`,
      token.slice(0, -1),
      token.toUpperCase(),
      `${token} `,
      `${token}\ud800`,
    ]
    for (const other of others) expect(await outcome(verifier.verify(other))).toMatch(/^invalid_token/)
  })

  test('expires when it says, within the tolerance and no later', async () => {
    const verifier = verifierOf(trusted())
    const token = createToken(one, parts())
    await verifier.verify(token)
    await clock.advance(304_999)
    expect(await outcome(verifier.verify(token))).toMatchObject({ server: 'sso' })
    await clock.advance(1)
    expect(await outcome(verifier.verify(token))).toBe('invalid_token: it has expired')
    expect(checks).toBe(1)
  })

  test('gets older than max_age, and is not good before its time when the clock is set back', async () => {
    const verifier = verifierOf(trusted({ max_age: '1m' }))
    const token = createToken(one, parts({ claims: { nbf: seconds() } }))
    await verifier.verify(token)
    const earlier = lateVerifier(
      createAccessTokenVerifier([trusted()], {
        clock: { ...clock, now: () => clock.now() - 60_000 },
        remembered,
      }),
    )
    expect(await outcome(earlier.verify(token))).toMatch(/not valid yet/)
    await clock.advance(65_000)
    expect(await outcome(verifier.verify(token))).toMatch(/max_age/)
  })

  test('is still no token for a route that names other servers', async () => {
    const verifier = verifierOf(trusted())
    const token = createToken(one, parts())
    await verifier.verify(token, { servers: ['sso'] })
    expect(await outcome(verifier.verify(token, { servers: ['partner'] }))).toMatch(/does not take tokens of sso/)
    expect(await outcome(verifier.verify(token, { servers: [] }))).toMatch(/does not take tokens of sso/)
    expect(await outcome(verifier.verify(token, { servers: ['sso'] }))).toMatchObject({ server: 'sso' })
  })

  test('is forgotten with its key, at the next renewal of the keys', async () => {
    const verifier = verifierOf(trusted())
    const token = createToken(one, parts({ claims: { exp: seconds() + 86_400 } }))
    await verifier.verify(token)
    keyServer.publish(two.jwk)
    await clock.advance(599_999)
    expect(await outcome(verifier.verify(token))).toMatchObject({ server: 'sso' })
    await clock.advance(1)
    await requests(2)
    await vi.waitFor(async () => expect(await outcome(verifier.verify(token))).toMatch(/no key of its server/), {
      interval: 5,
    })
  })

  test('outlives a renewal that brings its key again, among others and in another order', async () => {
    const verifier = verifierOf(trusted())
    const token = createToken(one, parts({ claims: { exp: seconds() + 86_400 } }))
    await verifier.verify(token)
    keyServer.publish(two.jwk, { ...one.jwk, x5t: 'new', use: undefined })
    await clock.advance(600_000)
    await vi.waitFor(async () => expect(await keys.find({ alg: 'ES256', kid: 'two' })).toHaveLength(1), { interval: 5 })
    checks = 0
    await verifier.verify(token)
    expect(checks).toBe(0)
  })

  for (const [what, change] of Object.entries({
    'that it is for another algorithm': { alg: 'ES384' },
    'that it is for encryption': { use: 'enc' },
    'that it has another id': { kid: 'other' },
    'that it is another key under its id': { ...two.jwk, kid: 'one' },
  })) {
    test(`is forgotten when its server says of the key ${what}`, async () => {
      const verifier = verifierOf(trusted())
      const token = createToken(one, parts({ claims: { exp: seconds() + 86_400 } }))
      await verifier.verify(token)
      keyServer.publish({ ...one.jwk, ...change }, two.jwk)
      await clock.advance(600_000)
      await vi.waitFor(
        async () => expect(await outcome(verifier.verify(token))).toMatch(/no key of|signature is wrong/),
        { interval: 5 },
      )
    })
  }

  test('is good in an outage of an hour, and cannot be judged once its keys are older than `keep`', async () => {
    const verifier = verifierOf(trusted())
    const token = createToken(one, parts({ claims: { exp: seconds() + 86_400 } }))
    const late = createToken(one, parts({ claims: { exp: seconds() + 86_400, jti: 'late' } }))
    await verifier.verify(token)
    keyServer.answer((response) => response.destroy())
    await clock.advance(3_600_000)
    expect(await outcome(verifier.verify(token))).toMatchObject({ server: 'sso' })
    expect(await outcome(verifier.verify(late))).toMatchObject({ server: 'sso' })
    await clock.advance(3_600_000)
    expect(await outcome(verifier.verify(token))).toMatch(/^keys_unavailable/)
    keyServer.publish(one.jwk)
    await clock.advance(10_000)
    await vi.waitFor(async () => expect(await outcome(verifier.verify(token))).toMatchObject({ server: 'sso' }), {
      interval: 5,
    })
  })

  test('has its keys renewed though nobody else asks and the timer slept with the machine', async () => {
    const sleepy = { now: clock.now, elapsed: clock.elapsed, setTimeout: () => () => {} }
    keys = createKeySet(keyServer.server, keySetOptions.parse({}), { clock: sleepy })
    const verifier = verifierOf(trusted())
    const token = createToken(one, parts({ claims: { exp: seconds() + 86_400 } }))
    await verifier.verify(token)
    keyServer.publish(two.jwk)
    await clock.advance(600_000)
    await verifier.verify(token)
    await requests(2)
    await vi.waitFor(async () => expect(await outcome(verifier.verify(token))).toMatch(/no key of its server/), {
      interval: 5,
    })
  })

  test('is nothing to a server whose settings are others, or to another server of that name', async () => {
    const token = createToken(one, parts({ claims: { typ: 'Bearer' } }))
    const before = trusted()
    await verifierOf(before).verify(token)
    for (const settings of [
      { audience: 'https://other.test' },
      { strict: true },
      { client_ids: ['other'] },
      { algorithms: ['RS256'] },
      { required_claims: ['tenant'] },
    ])
      expect(await outcome(verifierOf(trusted(settings)).verify(token))).toMatch(/^invalid_token/)
    expect(await outcome(verifierOf(trusted({}, { issuers: [secondIssuer] })).verify(token))).toMatch(/not trusted/)
    expect(await outcome(verifierOf(trusted({ max_token_size: '100B' })).verify(token))).toMatch(/max_token_size/)
    expect(await outcome(verifierOf(before).verify(token))).toMatchObject({ server: 'sso' })
  })
})

describe('what is remembered is bounded', () => {
  const key = {} as PublicKey
  const entry = (claims: Members) => ({
    token: { claims, server: 'sso', clientId: undefined, scopes: [], expiresAt: 0 },
    server: trusted(),
    key,
  })

  test('in number: the longest unused goes first', () => {
    const few = createRememberedTokens({ most: 4 })
    for (const digest of ['a', 'b', 'c', 'd']) few.remember(digest, entry({}))
    few.get('a')
    few.remember('e', entry({}))
    expect(['b', 'a', 'c', 'd', 'e'].map((digest) => few.get(digest) !== undefined)).toEqual([
      false,
      true,
      true,
      true,
      true,
    ])
  })

  test('in bytes, by what the claims take and not by how many there are', () => {
    const small = createRememberedTokens({ bytes: 100_000 })
    const large = { list: Array.from({ length: 200 }, () => ({})) }
    for (let index = 0; index < 100; index += 1) small.remember(`large-${index}`, entry(large))
    const held = Array.from({ length: 100 }, (_, index) => small.get(`large-${index}`)).filter((known) => known)
    expect(held.length).toBeGreaterThan(1)
    expect(held.length).toBeLessThan(10)
    small.remember('too large', entry({ text: 'x'.repeat(100_000) }))
    expect(small.get('too large')).toBeUndefined()
    expect(small.get('large-99')).toBeDefined()
  })

  test('and nearly 100,000 of the usual size have room', () => {
    const many = createRememberedTokens()
    const usual = entry(parts().claims)
    for (let index = 0; index < 99_000; index += 1) many.remember(`${index}`, usual)
    expect(many.get('0')).toBeDefined()
    for (let index = 99_000; index < 102_000; index += 1) many.remember(`${index}`, usual)
    expect(many.get('1')).toBeUndefined()
  })

  test('and what several of them have in common is kept once, and nobody can change it for the others', async () => {
    const verifier = verifierOf(trusted())
    const tokens = ['first', 'second'].map((jti) => createToken(one, parts({ claims: { jti } })))
    const [first, second] = await Promise.all(tokens.map((token) => verifier.verify(token)))
    expect(second?.scopes).toBe(first?.scopes)
    expect(Object.isFrozen(first?.scopes)).toBe(true)
    expect(second?.claims.jti).toBe('second')
  })

  test('and bad tokens, however many, push nothing out and leave nothing behind', async () => {
    remembered = createRememberedTokens({ most: 2 })
    const verifier = verifierOf(trusted())
    const good = [createToken(one, parts()), createToken(one, parts({ claims: { jti: 'second' } }))]
    for (const token of good) await verifier.verify(token)
    const forger = createSigningKey('ES256', 'one')
    const bad = Array.from({ length: 200 }, (_, index) => {
      const claims = { jti: `bad-${index}` }
      const kinds = [
        () => createToken(forger, parts({ claims })),
        () => createToken(one, parts({ claims: { ...claims, exp: seconds() - 60 } })),
        () => createToken(one, parts({ claims: { ...claims, aud: 'https://other.test' } })),
        () => createToken(one, parts({ claims, header: { kid: `unknown-${index}` } })),
        () => `garbage-${index}`,
      ]
      return kinds[index % kinds.length]?.() ?? ''
    })
    for (const token of bad) expect(await outcome(verifier.verify(token))).toMatch(/^invalid_token/)
    expect(bad.filter((token) => remembered.get(remembered.digest(token)))).toEqual([])
    checks = 0
    for (const token of good) await verifier.verify(token)
    expect(checks).toBe(0)
  })

  test('one that does not decide for itself is not kept: expired tokens too are refused each time', async () => {
    const verifier = verifierOf(trusted())
    const token = createToken(one, parts({ claims: { exp: seconds() - 60 } }))
    for (let again = 0; again < 2; again += 1) expect(await outcome(verifier.verify(token))).toMatch(/expired/)
    expect(checks).toBe(2)
  })
})

/** No memory at all: what the others are measured by. */
const forgetful: RememberedTokens = { ...createRememberedTokens(), get: () => undefined, remember: () => {} }

describe('with a memory every answer is what it would be without one', () => {
  const signers = [one, two, createSigningKey('ES256', 'one')]
  const settings: readonly Members[] = [
    {},
    { max_age: '2m' },
    { client_ids: ['legacy'] },
    { strict: true },
    { audience: [audience, 'https://other.test'], clock_tolerance: '1m' },
  ]
  const start = parts().claims.iat as number
  const tokens = signers.flatMap((signer) =>
    [issuer, secondIssuer, 'https://nobody.test'].flatMap((iss) =>
      [
        {},
        { exp: start + 3600, jti: '1' },
        { client_id: 'other', exp: start + 3600 },
        { aud: 'https://other.test', nbf: start + 60 },
      ].map((claims) => createToken(signer, parts({ claims: { iss, ...claims } }))),
    ),
  )

  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        token: fc.constantFrom(...tokens),
        servers: fc.constantFrom(undefined, ['sso'], ['partner']),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ advance: fc.constantFrom(1_000, 10_000, 60_000, 150_000, 600_000, 3_600_000) }),
    },
    { weight: 1, arbitrary: fc.record({ publish: fc.subarray([0, 1, 2]), by: fc.constantFrom(0, 1) }) },
    { weight: 1, arbitrary: fc.record({ down: fc.constantFrom(0, 1) }) },
    { weight: 1, arbitrary: fc.record({ settle: fc.constantFrom(...settings.keys()), of: fc.constantFrom(0, 1) }) },
  )

  /** Key servers without sockets in between: the steps are many, and each must be over before the next. */
  function world() {
    const time = createTestClock()
    const published: (readonly object[] | undefined)[] = [[one.jwk], [two.jwk]]
    const sets = published.map((_, index) => {
      const fetchKeys = async () => {
        const now = published[index]
        if (!now) throw new GatewayError('authorization_server_unavailable')
        return { status: 200, headers: new Headers(), text: async () => JSON.stringify({ keys: now }) }
      }
      const server = { name: `${index}`, endpoint: async () => 'https://sso.test/jwks', http: { fetch: fetchKeys } }
      return createKeySet(server, keySetOptions.parse({ keep: '1h' }), { clock: time })
    })
    const make = (index: number, options: Members): TrustedServer => ({
      name: ['sso', 'partner'][index] ?? '',
      issuers: [[issuer, secondIssuer][index] ?? ''],
      keys: sets[index] as KeySet,
      options: accessTokenOptions.parse({ audience, ...options }),
    })
    return { time, published, sets, make }
  }

  /** The first to ask has the keys fetched anew and finds that the key was another; for the second there is none. */
  const withoutKeyFault = <Given>(given: Given) =>
    typeof given === 'string'
      ? given.replace(/its signature is wrong|no key of its server fits .*/, 'not by its keys')
      : given

  test('over random tokens, servers, keys, settings, outages and times', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
        const { time, published, sets, make } = world()
        const memory = createRememberedTokens({ most: 8 })
        let servers = [make(0, {}), make(1, {})]
        const verifiers = (): readonly LateVerifier[] =>
          [memory, forgetful].map((each) =>
            lateVerifier(createAccessTokenVerifier(servers, { clock: time, remembered: each })),
          )
        let [remembering, plain] = verifiers()
        for (const each of steps) {
          if ('advance' in each) await time.advance(each.advance)
          else if ('publish' in each) published[each.by] = each.publish.map((index) => signers[index]?.jwk ?? {})
          else if ('down' in each) published[each.down] = undefined
          else if ('settle' in each) {
            servers = servers.map((server, index) =>
              index === each.of ? make(index, settings[each.settle] ?? {}) : server,
            )
            ;[remembering, plain] = verifiers()
          } else {
            // First the one with the memory: if it fetched what it should not need, the other would show it.
            const [first, second] = [remembering, plain].map(
              (verifier) => () => verifier?.verify(each.token, { servers: each.servers }) ?? Promise.reject(),
            )
            await time.advance(0)
            const given = first && withoutKeyFault(await outcome(first()))
            expect(given).toEqual(second && withoutKeyFault(await outcome(second())))
          }
        }
        for (const set of sets) set.stop()
      }),
      { numRuns: 300 },
    )
  }, 60_000)
})
