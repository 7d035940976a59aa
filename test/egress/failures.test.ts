import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { Substituted } from '../../src/base/substituted.ts'
import type { TokenRequest } from '../../src/egress/token-request.ts'
import { failureOf } from '../authorization-server/asking.ts'
import { answerNever, answerWith } from '../harness/authorization-server.ts'
import { createSecret } from '../harness/secrets.ts'
import { type Bench, startBench } from './bench.ts'

const second = 1000
const [unavailable, refused] = ['authorization_server_unavailable', 'authorization_server_refused']

let bench: Bench
beforeEach(async () => {
  bench = await startBench()
})
afterEach(() => {
  vi.useRealTimers()
  return bench.stop()
})

const asked = () => bench.endpoint.requests.length
const scope = (...scopes: string[]) => bench.request({ route: { scopes } })
const well = () => bench.issue({ expires_in: 300 })
const busy = (headers = {}) => bench.endpoint.answer(answerWith(503, 'busy', headers))
const refuse = (error: string) => bench.endpoint.answer(answerWith(400, { error }))
const codeOf = async (request: TokenRequest) => (await failureOf(bench.get(request))).code

/** The pauses between the requests that one caller, who tries every second for so long, gets through to the server. */
async function pausesOf(request: TokenRequest, seconds: number): Promise<number[]> {
  const times: number[] = []
  for (let at = 0; at < seconds; at++) {
    const before = asked()
    await failureOf(bench.get(request))
    if (asked() > before) times.push(at)
    await bench.clock.advance(second)
  }
  return times.slice(1).map((time, index) => time - (times[index] ?? 0))
}

describe('an endpoint that is down', () => {
  it('is asked by nobody while its pause lasts, whoever the client and whatever the scope', async () => {
    busy()
    expect(await codeOf(scope('a'))).toBe(unavailable)
    const other = bench.request({ client: { client_id: 'another', client_secret: createSecret() } })
    expect([await codeOf(scope('b')), await codeOf(other), asked()]).toEqual([unavailable, unavailable, 1])
  })

  it('is asked after 1, 2, 4 and more seconds, 30 at most', async () => {
    busy()
    expect(await pausesOf(scope('a'), 130)).toEqual([1, 2, 4, 8, 16, 30, 30, 30])
  })

  it('is asked by one alone after its pause, for all who wait', async () => {
    busy()
    await codeOf(scope('a'))
    await bench.clock.advance(second)
    const answer = bench.hold()
    const waiting = ['b', 'c', 'd', 'e', 'f', 'g'].map((name) => bench.get(scope(name)))
    await bench.arrived(2)
    await bench.clock.advance(second)
    expect(asked()).toBe(2)
    answer()
    await Promise.all(waiting)
    expect(asked()).toBe(7)
  })

  it('is up again with any answer, also one that refuses', async () => {
    busy()
    await codeOf(scope('a'))
    await bench.clock.advance(second)
    refuse('invalid_scope')
    expect(await codeOf(scope('b'))).toBe(refused)
    well()
    await Promise.all(['c', 'd', 'e'].map((name) => bench.get(scope(name))))
    busy()
    await codeOf(scope('f'))
    // The pause begins anew.
    await bench.clock.advance(second)
    well()
    await bench.get(scope('g'))
  })

  it('tells whoever met it, and whoever comes after, when to come back', async () => {
    busy()
    for (const pause of [1, 2, 4, 8]) {
      const [first, next] = [await failureOf(bench.get(scope('a'))), await failureOf(bench.get(scope('b')))]
      expect([first.options.retryAfterSeconds, next.options.retryAfterSeconds]).toEqual([pause, pause])
      await bench.clock.advance(pause * second)
    }
  })

  it('is left alone for as long as its Retry-After says, five minutes at most', async () => {
    for (const [said, kept] of [
      ['60', 60],
      ['86400', 300],
    ] as const) {
      busy({ 'retry-after': said })
      expect((await failureOf(bench.get(scope(said)))).options.retryAfterSeconds).toBe(kept)
      const before = asked()
      await bench.clock.advance((kept - 1) * second)
      expect([await codeOf(scope(said)), asked()]).toEqual([unavailable, before])
      await bench.clock.advance(second)
      well()
      await bench.get(scope(said))
    }
  })

  it.each([
    ['a failure that says nothing', () => answerWith(503, 'busy'), unavailable],
    ['a success', () => answerWith(200, { access_token: createSecret(), token_type: 'Bearer', expires_in: 9 }), 'well'],
    ['a refusal', () => answerWith(400, { error: 'invalid_scope' }), refused],
  ])('is left alone, though %s that was asked for before comes after', async (_what, late, outcome) => {
    const answers: (() => void)[] = []
    bench.endpoint.answer((request, response) => void answers.push(() => late()(request, response)))
    const early = bench.get(scope('early')).then(
      () => 'well',
      ({ code }) => code,
    )
    await bench.arrived(1)
    await bench.clock.advance(1)
    busy({ 'retry-after': '60' })
    await codeOf(scope('a'))
    answers[0]?.()
    expect(await early).toBe(outcome)
    well()
    await bench.clock.advance(59 * second)
    expect([await codeOf(scope('b')), asked()]).toEqual([unavailable, 2])
    await bench.clock.advance(second)
    await bench.get(scope('b'))
  })

  it('is left alone for longer, if the second of two failures says so', async () => {
    const answers: (() => void)[] = []
    const crowded = answerWith(429, '', { 'retry-after': '60' })
    bench.endpoint.answer((request, response) => void answers.push(() => crowded(request, response)))
    const early = failureOf(bench.get(scope('early')))
    await bench.arrived(1)
    busy()
    await codeOf(scope('a'))
    answers[0]?.()
    expect((await early).options.retryAfterSeconds).toBe(60)
    well()
    await bench.clock.advance(59 * second)
    expect([await codeOf(scope('b')), asked()]).toEqual([unavailable, 2])
  })
})

describe('a client that is refused', () => {
  it('is not asked for again, whatever the scope; other clients are', async () => {
    refuse('invalid_client')
    expect([await codeOf(scope('a')), await codeOf(scope('b')), asked()]).toEqual([refused, refused, 1])
    well()
    await bench.get(bench.request({ client: { client_secret: createSecret() } }))
    await bench.get(bench.request({ client: { basic_encoding: 'raw' } }))
    expect([await codeOf(scope('a')), asked()]).toEqual([refused, 3])
  })

  it('is asked for after 1, 2, 4 and more seconds, 60 at most', async () => {
    refuse('invalid_client')
    expect(await pausesOf(scope('a'), 190)).toEqual([1, 2, 4, 8, 16, 32, 60, 60])
  })

  it('begins anew once it was accepted', async () => {
    refuse('invalid_client')
    await pausesOf(scope('a'), 7)
    well()
    await bench.get(scope('b'))
    refuse('invalid_client')
    expect(await pausesOf(scope('c'), 4)).toEqual([1, 2])
  })
})

describe('a request that is refused', () => {
  it.each(['invalid_scope', 'invalid_target', 'unauthorized_client'])('for %s stops no other one', async (error) => {
    refuse(error)
    expect([await codeOf(scope('a')), await codeOf(scope('a')), asked()]).toEqual([refused, refused, 1])
    well()
    await bench.get(scope('b'))
    expect([await codeOf(scope('a')), asked()]).toEqual([refused, 2])
  })

  it('or answered with nonsense is sent again after 1, 2, 4 and more seconds, 60 at most', async () => {
    bench.endpoint.answer(answerWith(200, '<html>'))
    expect(await pausesOf(scope('a'), 190)).toEqual([1, 2, 4, 8, 16, 32, 60, 60])
  })

  it('begins anew once it was answered', async () => {
    refuse('invalid_scope')
    await pausesOf(scope('a'), 7)
    bench.issue({ expires_in: 0 })
    await bench.get(scope('a'))
    refuse('invalid_scope')
    await bench.clock.advance(second)
    expect(await pausesOf(scope('a'), 4)).toEqual([1, 2])
  })
})

describe('a changed source', () => {
  /** A client whose secret is a file, and what writes to it. */
  function fileClient(key: string, wish: Record<string, unknown> = {}, text = createSecret()) {
    vi.useFakeTimers({ toFake: ['performance'] })
    const file = { text }
    const value = new Substituted(() => file.text, { fromFile: true, hasDefault: false })
    return { file, request: bench.request({ client: { ...wish, [key]: value } }) }
  }

  it('ends the pause of a client that was refused', async () => {
    const { file, request } = fileClient('client_secret')
    refuse('invalid_client')
    for (const pause of [1, 2]) {
      await codeOf(request)
      await bench.clock.advance(pause * second)
    }
    await codeOf(request)
    well()
    file.text = createSecret()
    expect((await bench.get(request))[1]).toBe('fetched')
  })

  it('ends it, too, where it is a renewed assertion of the same workload', async () => {
    const assertion = (jti: string) =>
      [{ alg: 'RS256' }, { iss: 'k8s', sub: 'gateway', aud: 'sso', jti }, {}]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.')
    const method = { token_endpoint_auth_method: 'client_assertion' }
    const { file, request } = fileClient('client_assertion', method, assertion('one'))
    refuse('invalid_client')
    await codeOf(request)
    expect([await codeOf(request), asked()]).toEqual([refused, 1])
    well()
    file.text = assertion('two')
    expect((await bench.get(request))[1]).toBe('fetched')
  })

  it('on the way is tried at once, once', async () => {
    const { file, request } = fileClient('client_secret')
    const secrets: string[] = []
    bench.endpoint.answer((request, response) => {
      secrets.push(Buffer.from(request.headers.authorization?.slice(6) ?? '', 'base64').toString())
      file.text = `${file.text}-changed`
      answerWith(401, { error: 'invalid_client' })(request, response)
    })
    const first = file.text
    expect(await codeOf(request)).toBe(refused)
    expect(secrets).toEqual([`service:${first}`, `service:${first}-changed`])
  })

  it('on the way leaves no token of one credential under the name of another', async () => {
    const { file, request } = fileClient('client_secret')
    const [one, other] = [file.text, createSecret()]
    const answer = bench.hold()
    const first = bench.get(request)
    await bench.arrived(1)
    file.text = other
    answer()
    expect(await first).toEqual([1, 'fetched'])
    expect(await bench.get(request)).toEqual([2, 'fetched'])
    vi.advanceTimersByTime(second)
    expect(await bench.get(request)).toEqual([2, 'memory'])
    file.text = one
    vi.advanceTimersByTime(second)
    expect(await bench.get(request)).toEqual([3, 'fetched'])
  })

  it('ends the renewal of what it was before', async () => {
    const { file, request } = fileClient('client_secret')
    await bench.get(request)
    await bench.get(request)
    file.text = createSecret()
    vi.advanceTimersByTime(second)
    await bench.get(request)
    expect(asked()).toBe(2)
    await bench.clock.advance(240 * second)
    await bench.arrived(3)
    await bench.clock.advance(10 * second)
    expect(asked()).toBe(3)
  })
})

describe('a crowd before an endpoint', () => {
  /** How many requests are there at once, when each takes a second. */
  async function watchCrowd(count: number): Promise<number[]> {
    let held: (() => void)[] = []
    bench.endpoint.answer((_request, response) => {
      held.push(() => {
        const token = { access_token: createSecret(), token_type: 'Bearer', expires_in: 300 }
        answerWith(200, token)(_request, response)
      })
    })
    const all = Promise.all(Array.from({ length: count }, (_, index) => bench.get(scope(`s${index}`))))
    const crowds: number[] = []
    for (let answered = 0; answered < count; ) {
      await vi.waitFor(() => expect(held.length).toBeGreaterThan(0))
      await bench.clock.advance(0)
      const now = held
      held = []
      crowds.push(now.length)
      answered += now.length
      for (const answer of now) answer()
      await vi.waitFor(() =>
        expect(asked() === count || held.length >= Math.min(now.length, count - answered)).toBe(true),
      )
      await bench.clock.advance(0)
    }
    await all
    return crowds
  }

  it('is let through four at a time, and more as long as all goes well, 32 at most', async () => {
    const crowds = await watchCrowd(150)
    expect(crowds[0]).toBe(4)
    expect(Math.max(...crowds)).toBeGreaterThan(16)
    expect(Math.max(...crowds)).toBeLessThanOrEqual(32)
  })

  it('is four again after a failure', async () => {
    await watchCrowd(60)
    busy()
    await codeOf(scope('down'))
    await bench.clock.advance(second)
    well()
    await bench.get(scope('up'))
    bench.endpoint.answer(answerNever)
    const before = asked()
    for (let index = 0; index < 20; index++) void bench.get(scope(`t${index}`)).catch(() => {})
    await bench.arrived(before + 5)
    await bench.clock.advance(0)
    expect(asked()).toBe(before + 5)
  })

  it('is not held up by a refusal, which is an answer too', async () => {
    await watchCrowd(60)
    refuse('invalid_scope')
    await codeOf(scope('refused'))
    bench.endpoint.answer(answerNever)
    const before = asked()
    for (let index = 0; index < 20; index++) void bench.get(scope(`t${index}`)).catch(() => {})
    await bench.arrived(before + 20)
  })

  it('waits ten seconds at most', async () => {
    bench.endpoint.answer(answerNever)
    for (let index = 0; index < 4; index++) void bench.get(scope(`t${index}`)).catch(() => {})
    await bench.arrived(4)
    const fifth = failureOf(bench.get(scope('fifth')))
    await bench.clock.advance(10 * second)
    const error = await fifth
    expect([error.code, error.options.retryAfterSeconds, asked()]).toEqual([unavailable, 1, 4])
  })
})
