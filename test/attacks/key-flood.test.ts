/**
 * An unknown key id may be that of the newest key, so the gateway asks the authorization server for its keys. Somebody who
 * sends thousands of tokens with made-up key ids, or with none, lets the gateway flood its own authorization server until
 * that one throttles or locks it out. Or they wait for the server's bad day: a gateway that lets go of its keys, or blames
 * the callers, is then down with it. And a key that was stolen and withdrawn must not live on in what the gateway remembers.
 */
import { describe, expect, test, vi } from 'vitest'
import { type KeyServer, startKeyServer } from '../harness/key-server.ts'
import { createSigningKey, type Members } from '../harness/tokens.ts'
import { createKeyGates, type KeyGate } from './key-gate.ts'

const one = createSigningKey('ES256', 'one')
const two = createSigningKey('ES256', 'two')
const forger = createSigningKey('ES256', 'forged')
const { keep, startKeyGate } = createKeyGates()
const minute = 60_000

async function start(keys: Members = {}): Promise<KeyGate & { readonly keyServer: KeyServer }> {
  const keyServer = await keep(startKeyServer('sso', one.jwk))
  return { ...(await startKeyGate(await keyServer.server.endpoint('jwks_uri'), keys)), keyServer }
}

/** So many forged tokens at once, no two with the same header; gives back the statuses that there were. */
async function flood({ token, status }: KeyGate, count: number, kid: (index: number) => unknown): Promise<number[]> {
  const statuses = new Set<number>()
  for (let first = 0; first < count; first += 100) {
    const some = Array.from({ length: Math.min(100, count - first) }, (_, index) =>
      status(token(forger, { header: { kid: kid(first + index), x: first + index } })),
    )
    for (const each of await Promise.all(some)) statuses.add(each)
  }
  return [...statuses]
}

describe('a flood of tokens with key ids that nobody has', () => {
  test('a thousand different ones cause one request for the keys in each cooldown, and none gets in', async () => {
    const gate = await start()
    const good = gate.token(one)
    expect(await gate.status(good)).toBe(200)
    expect(gate.keyServer.requests).toBe(1)
    for (const round of [1, 2, 3]) {
      await gate.clock.advance(9_999)
      expect(await flood(gate, 100, (index) => `early-${round}-${index}`)).toEqual([401])
      expect(gate.keyServer.requests).toBe(round)
      await gate.clock.advance(1)
      expect(await flood(gate, round === 1 ? 1000 : 200, (index) => `late-${round}-${index}`)).toEqual([401])
      expect(gate.keyServer.requests).toBe(round + 1)
      expect(await gate.status(good)).toBe(200)
    }
    expect(gate.seen()).toHaveLength(4)
  })

  test('tokens without a key id cause no more', async () => {
    const gate = await start()
    expect(await gate.status(gate.token(one, { header: { kid: undefined } }))).toBe(200)
    for (const round of [1, 2]) {
      await gate.clock.advance(10_000)
      expect(await flood(gate, 300, () => undefined)).toEqual([401])
      expect(gate.keyServer.requests).toBe(round + 1)
    }
    expect(gate.seen()).toHaveLength(1)
  })

  test('forged signatures under an id that a key has cause no more', async () => {
    const gate = await start()
    const good = gate.token(one)
    expect(await gate.status(good)).toBe(200)
    for (const round of [1, 2, 3]) {
      await gate.clock.advance(9_999)
      expect(await flood(gate, 100, () => 'one')).toEqual([401])
      expect(gate.keyServer.requests).toBe(round)
      await gate.clock.advance(1)
      expect(await flood(gate, 300, () => 'one')).toEqual([401])
      expect(gate.keyServer.requests).toBe(round + 1)
      expect(await gate.status(good)).toBe(200)
    }
    expect(gate.seen()).toHaveLength(4)
  })

  test('no more in an outage, in which nobody can say, and good tokens pass', async () => {
    const gate = await start()
    const good = gate.token(one)
    expect(await gate.status(good)).toBe(200)
    gate.keyServer.answer((response) => response.destroy())
    for (const round of [1, 2, 3]) {
      await gate.clock.advance(10_000)
      expect(await flood(gate, 300, (index) => `${round}-${index}`)).toEqual([503])
      expect(gate.keyServer.requests).toBe(round + 1)
      expect(await gate.status(good)).toBe(200)
      expect(await gate.status(gate.token(one, { claims: { jti: `${round}` } }))).toBe(200)
    }
    expect(gate.seen()).toHaveLength(7)
  })

  test('no more before there are any keys', async () => {
    const keyServer = await keep(startKeyServer('sso'))
    keyServer.answer((response) => response.writeHead(500).end())
    const gate = await startKeyGate(await keyServer.server.endpoint('jwks_uri'))
    await gate.logged('keys cannot be fetched')
    expect(await flood(gate, 200, (index) => `${index}`)).toEqual([503])
    expect(keyServer.requests).toBe(1)
    await gate.clock.advance(1_000)
    expect(await flood(gate, 200, (index) => `${index}`)).toEqual([503])
    expect(keyServer.requests).toBe(2)
    await gate.clock.advance(1_000)
    expect(await flood(gate, 200, (index) => `${index}`)).toEqual([503])
    expect(keyServer.requests).toBe(2)
    expect(gate.seen()).toEqual([])
  })
})

describe('an outage of the authorization server', () => {
  test('of an hour refuses nobody whose token is good, whether it has been seen before or not', async () => {
    const gate = await start()
    const remembered = gate.token(one)
    expect(await gate.status(remembered)).toBe(200)
    await gate.keyServer.stop()
    for (let passed = 0; passed < 60; passed += 5) {
      await gate.clock.advance(5 * minute)
      expect(await gate.status(remembered)).toBe(200)
      expect(await gate.status(gate.token(one, { claims: { jti: `${passed}` } }))).toBe(200)
      expect(await gate.status(gate.token(one, { header: { kid: undefined, x: passed } }))).toBe(200)
    }
    await gate.logged('keys cannot be fetched')
  })

  test("is not the caller's fault: a token by a key that may be new is 503 with Retry-After, and a bad one is still 401", async () => {
    const gate = await start()
    expect(await gate.status(gate.token(one))).toBe(200)
    await gate.keyServer.stop()
    await gate.clock.advance(10 * minute)
    await gate.logged('keys cannot be fetched')
    const answer = await gate.send(gate.token(two))
    expect([answer.status, answer.headers['www-authenticate']]).toEqual([503, undefined])
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    expect(await gate.status(gate.token(one, { claims: { exp: 1 } }))).toBe(401)
    expect(await gate.status(gate.token({ ...forger, jwk: one.jwk }))).toBe(401)
    expect(gate.seen()).toHaveLength(1)
  })

  test('of more than a day leaves nothing that can be decided, and what is remembered goes the same way', async () => {
    const gate = await start({ cooldown: '30m' })
    const remembered = gate.token(one)
    expect(await gate.status(remembered)).toBe(200)
    await gate.keyServer.stop()
    await gate.clock.advance(24 * 60 * minute - 1)
    expect(await gate.status(remembered)).toBe(200)
    await gate.clock.advance(1)
    expect(await gate.status(remembered)).toBe(503)
    expect(await gate.status(gate.token(one, { claims: { jti: 'new' } }))).toBe(503)
    expect(gate.seen()).toHaveLength(2)
  })
})

describe('keys that change', () => {
  test('a rotation is followed within one cooldown, and the old key is good as long as it is published', async () => {
    const gate = await start()
    expect(await gate.status(gate.token(one))).toBe(200)
    gate.keyServer.publish(one.jwk, two.jwk)
    await gate.clock.advance(9_999)
    expect(await gate.status(gate.token(two))).toBe(401)
    await gate.clock.advance(1)
    expect(await gate.status(gate.token(two))).toBe(200)
    expect(await gate.status(gate.token(one))).toBe(200)
    expect(gate.keyServer.requests).toBe(2)
  })

  test('many that come at once with a new key all pass, by one request for the keys', async () => {
    const gate = await start()
    expect(await gate.status(gate.token(one))).toBe(200)
    gate.keyServer.publish(two.jwk, one.jwk)
    await gate.clock.advance(10_000)
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, index) => gate.status(gate.token(two, { claims: { jti: `${index}` } }))),
    )
    expect(new Set(answers)).toEqual(new Set([200]))
    expect(gate.keyServer.requests).toBe(2)
  })

  test('a stolen key that is taken away is good for nothing once the keys are renewed, what is remembered included', async () => {
    const gate = await start()
    const remembered = gate.token(one)
    expect(await gate.status(remembered)).toBe(200)
    gate.keyServer.publish(two.jwk)
    await gate.clock.advance(10 * minute)
    await vi.waitFor(async () => expect(await gate.status(gate.token(two))).toBe(200), { interval: 5 })
    const reached = gate.seen()
    expect(await gate.status(remembered)).toBe(401)
    expect(await gate.status(gate.token(one, { claims: { jti: 'new' } }))).toBe(401)
    expect(await gate.status(gate.token(one, { header: { kid: undefined } }))).toBe(401)
    expect(gate.seen()).toEqual(reached)
  })

  test('a key that is replaced by another one of the same id takes its tokens with it', async () => {
    const gate = await start()
    const remembered = gate.token(one)
    expect(await gate.status(remembered)).toBe(200)
    const successor = createSigningKey('ES256', 'one')
    gate.keyServer.publish(successor.jwk)
    await gate.clock.advance(10 * minute)
    await vi.waitFor(async () => expect(await gate.status(gate.token(successor))).toBe(200), { interval: 5 })
    expect(await gate.status(remembered)).toBe(401)
  })

  test('and the new one is good within one cooldown, though its id is known already', async () => {
    const gate = await start()
    expect(await gate.status(gate.token(one))).toBe(200)
    const successor = createSigningKey('ES256', 'one')
    gate.keyServer.publish(successor.jwk)
    await gate.clock.advance(9_999)
    expect(await gate.status(gate.token(successor))).toBe(401)
    await gate.clock.advance(1)
    expect(await gate.status(gate.token(successor))).toBe(200)
    expect(await gate.status(gate.token(one, { claims: { jti: 'old' } }))).toBe(401)
    expect(gate.keyServer.requests).toBe(2)
  })

  test('a key that turns out to be for encryption takes its tokens with it', async () => {
    const gate = await start()
    const remembered = gate.token(one)
    expect(await gate.status(remembered)).toBe(200)
    gate.keyServer.publish({ ...one.jwk, use: 'enc' }, two.jwk)
    await gate.clock.advance(10 * minute)
    await vi.waitFor(async () => expect(await gate.status(gate.token(two))).toBe(200), { interval: 5 })
    expect(await gate.status(remembered)).toBe(401)
  })
})
