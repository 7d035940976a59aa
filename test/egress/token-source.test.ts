import { generateKeyPairSync } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { systemClock } from '../../src/base/clock.ts'
import { Substituted } from '../../src/base/substituted.ts'
import { failureOf, printed } from '../authorization-server/asking.ts'
import { pem } from '../authorization-server/client-auth/method-rows.ts'
import { createTestClock } from '../harness/clock.ts'
import { createSecret } from '../harness/secrets.ts'
import { type Bench, type BenchWish, startBench } from './bench.ts'

const second = 1000
const hour = 3600 * second

let bench: Bench

beforeEach(async () => {
  bench = await startBench()
})
afterEach(() => bench.stop())

/** A bench of another kind for one test. */
async function rebuild(wish: BenchWish): Promise<void> {
  await bench.stop()
  bench = await startBench(wish)
}

describe('one request for one token', () => {
  it('200 callers at once wait for the same one, and those who come later have it from memory', async () => {
    const request = bench.request()
    const answers = await Promise.all(Array.from({ length: 200 }, () => bench.get(request)))
    expect(answers).toEqual(Array(200).fill([1, 'fetched']))
    expect(await bench.get(request)).toEqual([1, 'memory'])
    expect(bench.endpoint.requests).toHaveLength(1)
  })

  it('routes that want the same share it, whatever the order of their scopes', async () => {
    const one = bench.request({ client: { scope: 'country.read customer.read' } })
    const other = bench.request({ route: { scopes: ['customer.read', 'country.read'] } })
    expect(await Promise.all([bench.get(one), bench.get(other)])).toEqual([
      [1, 'fetched'],
      [1, 'fetched'],
    ])
  })

  it('routes that want another one do not', async () => {
    const wishes = [{}, { scopes: ['a'] }, { scopes: ['a', 'b'] }, { audience: ['a'] }, { params: { a: 'b' } }]
    const answers = await Promise.all(wishes.map((route) => bench.get(bench.request({ route }))))
    expect(new Set(answers.map(([number]) => number)).size).toBe(wishes.length)
  })

  it('all who wait share one failure, too', async () => {
    bench.fail()
    const request = bench.request()
    const failures = await Promise.all(Array.from({ length: 50 }, () => failureOf(bench.get(request))))
    expect(new Set(failures.map(({ code }) => code))).toEqual(new Set(['authorization_server_unavailable']))
    expect(bench.endpoint.requests).toHaveLength(1)
  })

  it('a caller that goes away is let go at once, and does not end the fetch for the others', async () => {
    const answer = bench.hold()
    const request = bench.request()
    const gone = new AbortController()
    const leaving = failureOf(bench.get(request, gone.signal))
    const staying = bench.get(request, new AbortController().signal)
    await bench.arrived(1)
    gone.abort()
    expect((await leaving).code).toBe('caller_gone')
    answer()
    expect(await staying).toEqual([1, 'fetched'])
    expect(bench.endpoint.requests).toHaveLength(1)
  })

  it('where all of them go away, the next has the token that came', async () => {
    const answer = bench.hold()
    const request = bench.request()
    expect((await failureOf(bench.get(request, AbortSignal.abort()))).code).toBe('caller_gone')
    await bench.arrived(1)
    answer()
    await bench.arrived(1, 1)
    expect(await bench.get(request)).toEqual([1, 'memory'])
  })

  it('a fetch that fails after all are gone hurts nobody', async () => {
    bench.fail()
    await failureOf(bench.get(bench.request(), AbortSignal.abort()))
    await bench.arrived(1)
    bench.issue({ expires_in: 300 })
    await vi.waitFor(
      async () => {
        await bench.clock.advance(second)
        expect(await bench.get(bench.request())).toEqual([1, 'fetched'])
      },
      { timeout: 5000 },
    )
  })
})

describe('renewal', () => {
  it('comes before expiry, in the background: nobody waits for it', async () => {
    const request = bench.request()
    await bench.get(request)
    await bench.clock.advance(240 * second - 1)
    expect(bench.endpoint.requests).toHaveLength(1)
    const answer = bench.hold()
    await bench.clock.advance(1)
    await bench.arrived(2)
    expect(await bench.get(request)).toEqual([1, 'memory'])
    answer()
    await bench.arrived(2, 1)
    expect(await bench.get(request)).toEqual([2, 'memory'])
    expect(bench.endpoint.requests).toHaveLength(2)
  })

  it('is for tokens alone that were used since the last one', async () => {
    const request = bench.request()
    await bench.get(request)
    await bench.clock.advance(240 * second)
    await bench.arrived(2, 1)
    await bench.clock.advance(240 * second)
    expect([bench.endpoint.requests.length, bench.clock.pendingTimers()]).toEqual([2, 0])
    expect(await bench.get(request)).toEqual([2, 'memory'])
    await bench.arrived(3, 1)
    expect(await bench.get(request)).toEqual([3, 'memory'])
  })

  it('is as early as refresh_before_expiry says', async () => {
    await rebuild({ cacheOptions: { refresh_before_expiry: '100s' } })
    await bench.get(bench.request())
    await bench.clock.advance(200 * second - 1)
    expect(bench.endpoint.requests).toHaveLength(1)
    await bench.clock.advance(1)
    await bench.arrived(2)
  })

  it('is never before half of the life is over', async () => {
    bench.issue({ expires_in: 60 })
    await bench.get(bench.request())
    await bench.clock.advance(30 * second - 1)
    expect(bench.endpoint.requests).toHaveLength(1)
    await bench.clock.advance(1)
    await bench.arrived(2)
  })

  it('is spread by up to a fifth of the time that is left', async () => {
    await rebuild({ random: () => 0.5 })
    await bench.get(bench.request())
    await bench.clock.advance(246 * second - 1)
    expect(bench.endpoint.requests).toHaveLength(1)
    await bench.clock.advance(1)
    await bench.arrived(2)
  })

  it('that fails leaves the old token in force, and is tried again ever more rarely until just before its end', async () => {
    const request = bench.request()
    await bench.get(request)
    bench.fail()
    await bench.clock.advance(240 * second)
    // Every 5 s, as far as the pauses of the endpoint let it: 1, 2, 4, 8, 16 s after one failure upon another.
    const asked = [1, 2, 3, 4, 4, 5, 5, 5, 5, 6]
    for (const times of asked) {
      await bench.arrived(1 + times, 1)
      await Promise.all(Array.from({ length: 20 }, () => bench.get(request)))
      await bench.clock.advance(5 * second - 1)
      expect(await bench.get(request)).toEqual([1, 'memory'])
      expect(bench.endpoint.requests).toHaveLength(1 + times)
      await bench.clock.advance(1)
    }
    await bench.clock.advance(5 * second)
    expect(bench.endpoint.requests).toHaveLength(7)
    expect((await failureOf(bench.get(request))).code).toBe('authorization_server_unavailable')
    expect(bench.log.find({ msg: 'renewal failed' })[0]).toMatchObject({
      level: 'warn',
      client: 'service',
      code: 'authorization_server_unavailable',
    })
  })

  it('goes on once the server is back', async () => {
    const request = bench.request()
    await bench.get(request)
    bench.fail()
    await bench.clock.advance(240 * second)
    await bench.arrived(2, 1)
    bench.issue({ expires_in: 300 })
    await bench.clock.advance(5 * second)
    await bench.arrived(3, 1)
    expect(await bench.get(request)).toEqual([2, 'memory'])
    await bench.clock.advance(240 * second)
    await bench.arrived(4, 1)
  })
})

describe('how long a token is good', () => {
  /** Until when the first token goes out, to the millisecond. */
  async function expectUsable(milliseconds: number): Promise<void> {
    const request = bench.request()
    await bench.get(request)
    bench.fail()
    await bench.clock.advance(milliseconds - 1)
    expect(await bench.get(request)).toEqual([1, 'memory'])
    await bench.clock.advance(1)
    expect((await failureOf(bench.get(request))).code).toBe('authorization_server_unavailable')
  }

  const lives: Record<string, [fields: Readonly<Record<string, unknown>>, usable: number]> = {
    'all but the last 5 s': [{ expires_in: 300 }, 295 * second],
    'all but the last tenth, if that is less': [{ expires_in: 10 }, 9 * second],
    'five minutes, where the server does not say': [{}, 295 * second],
    'what a number as text says': [{ expires_in: '120' }, 115 * second],
    'a day, where the server says 25 hours': [{ expires_in: 25 * 3600 }, 24 * hour - 5 * second],
    'a day, where the server says 30 days': [{ expires_in: 30 * 24 * 3600 }, 24 * hour - 5 * second],
  }
  for (const [what, [fields, usable]] of Object.entries(lives)) {
    it(what, async () => {
      bench.issue(fields)
      await expectUsable(usable)
    })
  }

  it('as long as default_expires_in says, where the server does not', async () => {
    await rebuild({ cacheOptions: { default_expires_in: '100s' } })
    bench.issue({})
    await expectUsable(95 * second)
  })

  it('counted from when it was asked for: the answer took its time', async () => {
    const answer = bench.hold()
    const request = bench.request()
    const first = bench.get(request)
    await bench.arrived(1)
    await bench.clock.advance(100 * second)
    answer()
    expect(await first).toEqual([1, 'fetched'])
    bench.fail()
    await bench.clock.advance(195 * second - 1)
    expect(await bench.get(request)).toEqual([1, 'memory'])
    await bench.clock.advance(1)
    expect((await failureOf(bench.get(request))).status).toBe(503)
  })

  it('not at all, where its life was over when it came: 503', async () => {
    bench.issue({ expires_in: 10 })
    const answer = bench.hold()
    const waiting = failureOf(bench.get(bench.request()))
    await bench.arrived(1)
    await bench.clock.advance(10 * second)
    answer()
    expect(await waiting).toMatchObject({ code: 'authorization_server_unavailable', status: 503 })
    expect(bench.clock.pendingTimers()).toBe(0)
  })

  it('a token of 30 days is not renewed in a loop', async () => {
    await rebuild({ clock: systemClock })
    bench.issue({ expires_in: 30 * 24 * 3600 })
    const request = bench.request()
    await bench.get(request)
    // Real time, for this is about Node's own timers: one that is too long fires at once.
    await new Promise((resolve) => setTimeout(resolve, 100))
    expect(await bench.get(request)).toEqual([1, 'memory'])
    expect(bench.endpoint.requests).toHaveLength(1)
  })
})

describe('a token that comes without life', () => {
  for (const expiresIn of [0, '0', -1, -3600]) {
    it(`expires_in of ${JSON.stringify(expiresIn)} serves those who wait, once a second at most`, async () => {
      bench.issue({ expires_in: expiresIn })
      const request = bench.request()
      const first = await Promise.all(Array.from({ length: 20 }, () => bench.get(request)))
      expect(first).toEqual(Array(20).fill([1, 'fetched']))
      await bench.clock.advance(100)
      const next = Array.from({ length: 20 }, () => bench.get(request))
      await bench.clock.advance(899)
      expect(bench.endpoint.requests).toHaveLength(1)
      await bench.clock.advance(1)
      expect(await Promise.all(next)).toEqual(Array(20).fill([2, 'fetched']))
      await bench.clock.advance(second)
      expect(await bench.get(request)).toEqual([3, 'fetched'])
    })
  }
})

describe('a changed secret', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('is used with the next request, and the token of the old one no more', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    let secret = createSecret()
    const request = bench.request({
      client: { client_secret: new Substituted(() => secret, { fromFile: true, hasDefault: false }) },
    })
    await bench.get(request)
    secret = createSecret()
    vi.advanceTimersByTime(second)
    expect(await bench.get(request)).toEqual([2, 'fetched'])
    expect(bench.endpoint.requests[1]?.headers.authorization).toBe(
      `Basic ${Buffer.from(`service:${secret}`).toString('base64')}`,
    )
    vi.advanceTimersByTime(second)
    expect(await bench.get(request)).toEqual([2, 'memory'])
  })
})

describe('a changed key file', () => {
  afterEach(() => {
    vi.useRealTimers()
  })

  it('that will not do is told of once, while the old key goes on, and so is its end', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const first = pem(generateKeyPairSync('ed25519').privateKey)
    let text = first
    const request = bench.request({
      client: {
        token_endpoint_auth_method: 'private_key_jwt',
        assertion_audience: 'sso',
        private_key: new Substituted(() => text, { fromFile: true, hasDefault: false }),
      },
    })
    bench.issue({ expires_in: 0 })
    const fetchOneMore = async () => {
      vi.advanceTimersByTime(second)
      const obtained = bench.get(request)
      await bench.clock.advance(second)
      await obtained
    }
    await fetchOneMore()
    expect(bench.log.entries()).toEqual([])
    text = first.slice(0, 60)
    await fetchOneMore()
    await fetchOneMore()
    text = pem(generateKeyPairSync('ed25519').privateKey)
    await fetchOneMore()
    const told = bench.log.entries().map(({ msg, client, reason }) => ({ msg, client, reason }))
    expect(told).toEqual([
      {
        msg: 'changed credential not used',
        client: 'service',
        reason: 'private_key is no readable private key in PEM',
      },
      { msg: 'credential good again', client: 'service', reason: undefined },
    ])
    expect(bench.endpoint.requests).toHaveLength(4)
  })
})

describe('the scope that is granted', () => {
  const warnings = () => bench.log.find({ msg: 'narrower scope' })

  it('if it is narrower than asked, is warned of once', async () => {
    bench.issue({ expires_in: 300, scope: 'a c' })
    const request = bench.request({ client: { scope: 'a b c d' } })
    expect(await bench.get(request)).toEqual([1, 'fetched'])
    await bench.clock.advance(300 * second)
    expect((await bench.get(request))[0]).toBeGreaterThan(1)
    expect(warnings()).toHaveLength(1)
    expect(warnings()[0]).toMatchObject({
      level: 'warn',
      client: 'service',
      reason: 'the scope granted lacks b d',
    })
  })

  it('with scope_policy: exact, is an error: such a token never goes out', async () => {
    bench.issue({ expires_in: 300, scope: 'a' })
    const request = bench.request({ client: { scope: 'a b', scope_policy: 'exact' } })
    for (let turn = 0; turn < 2; turn += 1) {
      const error = await failureOf(bench.get(request))
      expect([error.code, error.status]).toEqual(['authorization_server_refused', 502])
      expect(error.options.reason).toBe(`${turn === 0 ? '' : 'remembered: '}the scope granted lacks b`)
    }
    expect(bench.clock.pendingTimers()).toBe(0)
    expect(warnings()).toHaveLength(0)
  })

  it('is never exact for a route by way of another that does not mind', async () => {
    bench.issue({ expires_in: 300, scope: 'a' })
    await bench.get(bench.request({ client: { scope: 'a b' } }))
    const exact = bench.request({ client: { scope: 'a b', scope_policy: 'exact' } })
    expect((await failureOf(bench.get(exact))).code).toBe('authorization_server_refused')
  })

  for (const [what, scope] of Object.entries({
    'in another order': 'c b a',
    'wider than asked': 'a b c d',
    'not told': undefined,
  })) {
    it(`is as asked where it is ${what}`, async () => {
      bench.issue({ expires_in: 300, scope })
      await bench.get(bench.request({ client: { scope: 'a b c', scope_policy: 'exact' } }))
      await bench.get(bench.request({ client: { scope: 'a b c' } }))
      expect(warnings()).toHaveLength(0)
    })
  }
})

describe('a token source that is closed', () => {
  it('leaves no timer behind, and asks for nothing any more', async () => {
    await Promise.all([bench.get(bench.request()), bench.get(bench.request({ route: { scopes: ['a'] } }))])
    expect(bench.clock.pendingTimers()).toBe(2)
    bench.source.close()
    expect(bench.clock.pendingTimers()).toBe(0)
    await bench.clock.advance(hour)
    expect(bench.endpoint.requests).toHaveLength(2)
  })

  it('keeps nothing that comes afterwards', async () => {
    const answer = bench.hold()
    const waiting = bench.get(bench.request())
    await bench.arrived(1)
    bench.source.close()
    answer()
    expect(await waiting).toEqual([1, 'fetched'])
    expect(bench.clock.pendingTimers()).toBe(0)
  })

  it('says nothing of a renewal that fails afterwards', async () => {
    await bench.get(bench.request())
    bench.hold()
    await bench.clock.advance(240 * second)
    await bench.arrived(2)
    await bench.stop()
    await new Promise((resolve) => setImmediate(resolve))
    expect(bench.log.entries()).toEqual([])
    expect(bench.clock.pendingTimers()).toBe(0)
  })
})

it('a token prints as [redacted], however it is printed', async () => {
  const { token } = await bench.source.get(bench.request())
  expect(printed(new Error('a token', { cause: token }))).not.toContain('token-number')
  expect(JSON.stringify(token)).toContain('[redacted]')
})

it('a token that has expired stays so when the clock is set back', async () => {
  const time = createTestClock()
  let setBack = 0
  await rebuild({ clock: { now: () => time.now() - setBack, elapsed: time.elapsed, setTimeout: time.setTimeout } })
  const request = bench.request()
  expect(await bench.get(request)).toEqual([1, 'fetched'])
  bench.fail()
  setBack = hour
  await time.advance(299 * second)
  expect((await failureOf(bench.get(request))).code).toBe('authorization_server_unavailable')
})
