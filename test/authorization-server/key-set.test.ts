import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { createKeySet, type KeySet, keySetOptions } from '../../src/authorization-server/key-set.ts'
import { GatewayError } from '../../src/base/errors.ts'
import { createLog } from '../../src/base/log.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type KeyServer, startKeyServer } from '../harness/key-server.ts'
import { createTestLog, type TestLog } from '../harness/logs.ts'
import { createSigningKey } from '../harness/tokens.ts'

const one = createSigningKey('ES256', 'one')
const two = createSigningKey('ES256', 'two')
const wantsOne = { alg: 'ES256', kid: 'one' } as const
const wantsTwo = { alg: 'ES256', kid: 'two' } as const

let server: KeyServer
let clock: TestClock
let log: TestLog
let keys: KeySet

beforeEach(async () => {
  server = await startKeyServer('sso', one.jwk)
  clock = createTestClock()
  log = createTestLog()
  keys = createKeySet(server.server, keySetOptions.parse({}), { clock, log: createLog(log) })
})
afterEach(async () => {
  keys.stop()
  await server.stop()
})

/** The keys that are found for a wish, or the error's code with the seconds after which to ask again. */
async function find(wanted: Parameters<KeySet['find']>[0]): Promise<unknown> {
  try {
    return (await keys.find(wanted)).length
  } catch (error) {
    if (error instanceof GatewayError) return [error.code, error.status, error.options.retryAfterSeconds]
    throw error
  }
}

/** Waits for what comes back over the sockets; the clock stands still meanwhile. */
const requests = (count: number) => vi.waitFor(() => expect(server.requests).toBe(count), { interval: 5 })
const broken = () => server.answer((response) => response.destroy())

/** Lets the answer of a fetch in the background arrive. */
async function arrived(count: number): Promise<void> {
  await requests(count)
  await vi.waitFor(() => expect(clock.pendingTimers()).toBe(1), { interval: 5 })
}

describe('keys are there before they are needed', () => {
  test('they are fetched at the start, and renewed in the background', async () => {
    keys.start()
    await arrived(1)
    await clock.advance(600_000)
    await arrived(2)
    expect(await find(wantsOne)).toBe(1)
    expect(server.requests).toBe(2)
  })

  test('callers that come first wait for the one fetch', async () => {
    expect(await Promise.all(Array.from({ length: 20 }, () => find(wantsOne)))).toEqual(Array(20).fill(1))
    expect(server.requests).toBe(1)
  })

  test('a key is imported once, not for each token', async () => {
    expect((await keys.find(wantsOne))[0]).toBe((await keys.find(wantsOne))[0])
  })

  test('they are renewed at the next token, should the timer have slept with the machine', async () => {
    const sleepy = { now: clock.now, elapsed: clock.elapsed, setTimeout: () => () => {} }
    keys = createKeySet(server.server, keySetOptions.parse({}), { clock: sleepy })
    await find(wantsOne)
    await clock.advance(600_000)
    expect(await find(wantsOne)).toBe(1)
    await requests(2)
  })

  test('a key that stays is the same one after a renewal, and is held; one that is withdrawn is not', async () => {
    server.publish(one.jwk, two.jwk)
    const [first, second] = [await keys.find(wantsOne), await keys.find(wantsTwo)].map(([key]) => key)
    server.publish(two.jwk)
    await clock.advance(600_000)
    await arrived(2)
    expect((await keys.find(wantsTwo))[0]).toBe(second)
    expect([first, second].map((key) => key && keys.holds(key))).toEqual([false, true])
  })

  test('a key that is withdrawn is gone with the next renewal', async () => {
    expect(await find(wantsOne)).toBe(1)
    server.publish(two.jwk)
    await clock.advance(600_000)
    await arrived(2)
    expect(await find(wantsOne)).toBe(0)
    expect(await find(wantsTwo)).toBe(1)
  })

  test('nothing is left running behind a key set that is stopped', async () => {
    keys.start()
    await arrived(1)
    keys.stop()
    expect(clock.pendingTimers()).toBe(0)
  })

  test('nothing is left running behind one that is stopped while it fetches', async () => {
    const found = find(wantsOne)
    keys.stop()
    await found
    expect(clock.pendingTimers()).toBe(0)
  })
})

describe('an unknown key id', () => {
  test('fetches the keys anew, once the cooldown is over', async () => {
    expect(await find(wantsOne)).toBe(1)
    server.publish(one.jwk, two.jwk)
    expect(await find(wantsTwo)).toBe(0)
    await clock.advance(9_999)
    expect(await find(wantsTwo)).toBe(0)
    await clock.advance(1)
    expect(await find(wantsTwo)).toBe(1)
    expect(server.requests).toBe(2)
  })

  test('fetches them once, however many ask', async () => {
    await find(wantsOne)
    await clock.advance(10_000)
    const unknown = Array.from({ length: 50 }, (_, index) => find({ alg: 'ES256', kid: `unknown-${index}` }))
    expect(new Set(await Promise.all(unknown))).toEqual(new Set([0]))
    expect(server.requests).toBe(2)
  })

  test('is not fetched for more than once per cooldown by a thousand that are all different', async () => {
    await find(wantsOne)
    for (let round = 1; round <= 3; round += 1) {
      await clock.advance(9_000)
      const flood = (name: string) =>
        Promise.all(
          Array.from({ length: 1000 }, (_, index) => find({ alg: 'ES256', kid: `${name}-${round}-${index}` })),
        )
      await flood('early')
      expect(server.requests).toBe(round)
      await clock.advance(1_000)
      await flood('late')
      expect(server.requests).toBe(round + 1)
    }
  })

  test('follows a rotation within one cooldown, also for tokens that name no key', async () => {
    const [first] = await keys.find({ alg: 'ES256', kid: undefined })
    server.publish(one.jwk, two.jwk)
    await clock.advance(9_999)
    const wanted = { alg: 'ES256', kid: undefined, tried: first ? [first] : [] } as const
    expect(await find(wanted)).toBe(0)
    await clock.advance(1)
    expect(await find(wanted)).toBe(1)
  })

  test('does not keep those waiting whose key is known', async () => {
    await find(wantsOne)
    await clock.advance(10_000)
    server.answer(() => {})
    const waiting = find(wantsTwo)
    expect(await find(wantsOne)).toBe(1)
    await server.stop()
    await waiting
  })
})

describe('keys that may have moved: the next fetch, and no earlier one, looks for their place anew', () => {
  let places: boolean[]
  beforeEach(() => {
    places = []
    const endpoint: KeyServer['server']['endpoint'] = (which, wish) => {
      places.push(wish?.anew === true)
      return server.server.endpoint(which)
    }
    keys = createKeySet({ ...server.server, endpoint }, keySetOptions.parse({}), { clock })
  })

  test('after an unknown key id that a fetch did not bring', async () => {
    await find(wantsOne)
    await clock.advance(10_000)
    await Promise.all([find(wantsTwo), find(wantsTwo)])
    await find(wantsTwo)
    expect(places).toEqual([false, false])
    await clock.advance(10_000)
    server.publish(one.jwk, two.jwk)
    await find(wantsTwo)
    await clock.advance(600_000)
    await arrived(4)
    expect(places).toEqual([false, false, true, false])
  })

  test('after a fetch that failed', async () => {
    await find(wantsOne)
    broken()
    await clock.advance(600_000)
    await arrived(2)
    server.publish(one.jwk)
    await clock.advance(10_000)
    await arrived(3)
    await clock.advance(600_000)
    await arrived(4)
    expect(places).toEqual([false, false, true, false])
  })
})

describe('in an outage', () => {
  test('the last keys are used, up to `keep`, and then it cannot be decided', async () => {
    keys = createKeySet(server.server, keySetOptions.parse({ keep: '20m' }), { clock })
    expect(await find(wantsOne)).toBe(1)
    broken()
    await clock.advance(1_199_000)
    expect(await find(wantsOne)).toBe(1)
    await clock.advance(1_000)
    expect(await find(wantsOne)).toEqual(['keys_unavailable', 503, expect.any(Number)])
  })

  test('of an hour every known key is found, at the start of it and at its end', async () => {
    expect(await find(wantsOne)).toBe(1)
    broken()
    for (let minute = 0; minute < 60; minute += 1) {
      await clock.advance(60_000)
      expect(await find(wantsOne)).toBe(1)
    }
  })

  test('an unknown key id is no reason to refuse a token: nobody knows', async () => {
    expect(await find(wantsOne)).toBe(1)
    broken()
    await clock.advance(10_000)
    expect(await find(wantsTwo)).toEqual(['keys_unavailable', 503, 10])
    await clock.advance(4_000)
    expect(await find(wantsTwo)).toEqual(['keys_unavailable', 503, 6])
    expect(server.requests).toBe(2)
    expect(await find(wantsOne)).toBe(1)
  })

  test('without any keys it cannot be decided, and the first keys are tried for soon, then more seldom', async () => {
    broken()
    expect(await find(wantsOne)).toEqual(['keys_unavailable', 503, 1])
    expect(await find(wantsOne)).toEqual(['keys_unavailable', 503, 1])
    expect(server.requests).toBe(1)
    await clock.advance(1_000)
    await arrived(2)
    await clock.advance(1_000)
    expect(server.requests).toBe(2)
    server.publish(one.jwk)
    await clock.advance(1_000)
    await arrived(3)
    expect(await find(wantsOne)).toBe(1)
  })

  for (const status of [429, 503])
    test(`a server that is too busy (${status}) is left alone for as long as it wants, and not for longer than 5 minutes`, async () => {
      await find(wantsOne)
      for (const [wanted, seconds] of [
        ['120', 120],
        ['86400', 300],
      ] as const) {
        const before = server.requests
        server.answer((response) => response.writeHead(status, { 'retry-after': wanted }).end())
        await clock.advance(600_000)
        await arrived(before + 1)
        expect(await find(wantsTwo)).toEqual(['keys_unavailable', 503, seconds])
        await clock.advance(seconds * 1000 - 1)
        expect(await find(wantsTwo)).toEqual(['keys_unavailable', 503, 1])
        expect(await find(wantsOne)).toBe(1)
        expect(server.requests).toBe(before + 1)
        server.publish(one.jwk)
        await clock.advance(1)
        await arrived(before + 2)
        expect(await find(wantsTwo)).toBe(0)
      }
    })

  test('discovery that fails is an outage too', async () => {
    const endpoint = () => Promise.reject(new GatewayError('authorization_server_unavailable'))
    keys = createKeySet({ ...server.server, endpoint }, keySetOptions.parse({}), { clock })
    expect(await find(wantsOne)).toEqual(['keys_unavailable', 503, 1])
  })

  test('it is logged once when it begins, and once when it is over', async () => {
    keys.start()
    await arrived(1)
    broken()
    await clock.advance(600_000)
    for (const count of [2, 3, 4]) {
      await arrived(count)
      await clock.advance(10_000)
    }
    server.publish(one.jwk)
    await arrived(5)
    await clock.advance(10_000)
    await arrived(6)
    expect(log.entries().map(({ level, msg }) => [level, msg])).toEqual([
      ['warn', 'keys cannot be fetched'],
      ['info', 'keys available again'],
    ])
  })
})

describe('an answer that is no key set does not replace the keys', () => {
  const answers: Record<string, [status: number, body: string]> = {
    'an error': [500, '{"keys":[]}'],
    'a redirect': [302, '{"keys":[]}'],
    'a page': [200, '<html>'],
    'an empty body': [200, ''],
    'no list': [200, '{"keys":{}}'],
    null: [200, 'null'],
    'a list alone': [200, '[]'],
    'more keys than any server has': [200, JSON.stringify({ keys: Array(101).fill(two.jwk) })],
  }
  for (const [name, [status, body]] of Object.entries(answers)) {
    test(name, async () => {
      await find(wantsOne)
      server.answer((response) => response.writeHead(status).end(body))
      await clock.advance(600_000)
      await arrived(2)
      expect(await find(wantsOne)).toBe(1)
      expect(await find(wantsTwo)).toEqual(['keys_unavailable', 503, 10])
    })
  }

  test('one that is a key set without usable keys does: they were withdrawn', async () => {
    await find(wantsOne)
    server.publish({ kty: 'oct', k: 'AAAA', kid: 'one' }, 'no key' as unknown as object)
    await clock.advance(600_000)
    await arrived(2)
    expect(await find(wantsOne)).toEqual(['keys_unavailable', 503, 10])
  })
})

test('keys that are left out are told when they are fetched, and once', async () => {
  server.publish(one.jwk, { kty: 'oct', k: 'AAAA', kid: 'shared' })
  keys.start()
  await arrived(1)
  await clock.advance(600_000)
  await arrived(2)
  expect(log.entries()).toMatchObject([{ level: 'error', reasons: ['key "shared" is symmetric'] }])
})

describe('which key it is', () => {
  test('without a key id every key that fits is a candidate, and no other', async () => {
    const rsa = createSigningKey('RS256')
    server.publish(one.jwk, two.jwk, rsa.jwk, { ...two.jwk, kid: undefined })
    expect(await find({ alg: 'ES256', kid: undefined })).toBe(3)
    expect(await find({ alg: 'RS256', kid: undefined })).toBe(1)
    expect(await find({ alg: 'PS256', kid: undefined })).toBe(0)
  })

  test('a key that names no algorithm serves every one of its kind', async () => {
    const { alg: _, ...open } = createSigningKey('RS256').jwk
    server.publish(open)
    for (const alg of ['RS256', 'RS512', 'PS256'] as const) expect(await find({ alg, kid: 'RS256' })).toBe(1)
    expect(await find({ alg: 'ES256', kid: 'RS256' })).toBe(0)
  })

  test('of many that fit, a few are tried', async () => {
    server.publish(...Array.from({ length: 50 }, () => one.jwk))
    expect(await find({ alg: 'ES256', kid: undefined })).toBe(8)
  })
})

describe('keys that can be of no use take no place', () => {
  test('keys of another kind or curve', async () => {
    const okp = Array.from({ length: 8 }, () => ({ ...createSigningKey('EdDSA').jwk, alg: undefined }))
    const p384 = Array.from({ length: 8 }, () => ({ ...createSigningKey('ES384').jwk, alg: undefined }))
    server.publish(...okp, ...p384, one.jwk, createSigningKey('RS256').jwk)
    expect(await find({ alg: 'ES256', kid: undefined })).toBe(1)
    expect(await find({ alg: 'RS256', kid: undefined })).toBe(1)
  })

  test('a key whose id is no text, even for a token that names none', async () => {
    server.publish({ ...two.jwk, kid: 7 }, one.jwk)
    expect(await find({ alg: 'ES256', kid: undefined })).toBe(1)
  })

  test('RSA keys that would cost seconds for each token', async () => {
    const { jwk } = createSigningKey('RS256')
    const modulus = Buffer.alloc(2049, 0xff).toString('base64url')
    const exponent = Buffer.alloc(9, 0xff).toString('base64url')
    server.publish({ ...jwk, n: modulus }, { ...jwk, e: exponent }, jwk)
    expect(await find({ alg: 'RS256', kid: undefined })).toBe(1)
  })
})

describe('the keys block', () => {
  test('has defaults', () => {
    expect(keySetOptions.parse(undefined)).toEqual({ refresh: 600_000, cooldown: 10_000, keep: 86_400_000 })
  })

  test('does not keep keys for less than their renewal takes', () => {
    expect(keySetOptions.safeParse({ refresh: '1h', keep: '10m' }).success).toBe(false)
    expect(keySetOptions.safeParse(null).success).toBe(false)
  })

  test('does not ask the server all the time, even if told to', () => {
    expect(keySetOptions.parse({ cooldown: '1s', refresh: '10s' })).toMatchObject({ cooldown: 1000, refresh: 10_000 })
    expect(keySetOptions.safeParse({ cooldown: '999ms' }).success).toBe(false)
    expect(keySetOptions.safeParse({ refresh: '9999ms' }).success).toBe(false)
  })
})
