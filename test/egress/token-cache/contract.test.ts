import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import type { TokenCache } from '../../../src/egress/token-cache/define.ts'
import { createPrimaryTokenCache } from '../../../src/egress/token-cache/primary.ts'
import { createPrimaryTokens } from '../../../src/egress/token-cache/primary-tokens.ts'
import { startRedis } from '../../harness/redis.ts'
import { createCacheKeeper, createKey, createToken, timed } from './caches.ts'

const { keep, open } = createCacheKeeper()
const request = JSON.stringify({ client: 'archival-service', scopes: ['customer.read'] })

/** Everything that processes can share tokens through: two of its ends. */
const shared: Record<TokenCache['source'], () => Promise<[one: TokenCache, other: TokenCache]>> = {
  async redis() {
    const redis = await keep(startRedis())
    const block = { url: redis.url, encryption_keys: [createKey()] }
    return [await open(block), await open(block)]
  },
  async memory() {
    const primary = createPrimaryTokens(systemClock)
    const secret = randomBytes(32).toString('base64')
    const worker = () => {
      const self = {}
      const ask = (question: Parameters<typeof primary.answer>[1]) => primary.answer(self, structuredClone(question))
      return createPrimaryTokenCache({ ask, secret, clock: systemClock })
    }
    return [worker(), worker()]
  },
}

describe.each(Object.entries(shared))('tokens that processes share (%s)', (source, start) => {
  async function twoProcesses() {
    const [one, other] = await start()
    await one.ready()
    return { one, other, names: one.keysOf(request) }
  }

  test('are said to come from there', async () => {
    expect((await twoProcesses()).one.source).toBe(source)
  })

  test('what one process keeps, another one finds, with its id and its times', async () => {
    const { one, other, names } = await twoProcesses()
    const token = createToken()
    expect(await other.get(names)).toBeUndefined()
    await one.set(names, token)
    const found = await other.get(other.keysOf(request))
    expect(found?.value.read()).toBe(token.value.read())
    expect(found).toMatchObject({ id: token.id, obtainedAt: token.obtainedAt, life: 300_000 })
    expect(found?.usableUntil).toBe(token.usableUntil)
  })

  test('a token that lasts longer stays, whoever writes a shorter one', async () => {
    const { one, other, names } = await twoProcesses()
    const [shorter, longer, longest] = [createToken(100_000), createToken(200_000), createToken(300_000)]
    await one.set(names, longer)
    await other.set(names, shorter)
    expect((await one.get(names))?.id).toBe(longer.id)
    await other.set(names, longest)
    expect((await one.get(names))?.id).toBe(longest.id)
  })

  test('a token that an upstream refused makes way for its successor, though that lasts less long; no other one does', async () => {
    const { one, other, names } = await twoProcesses()
    const [refused, successor, another] = [createToken(300_000), createToken(100_000), createToken(50_000)]
    await one.set(names, refused)
    await other.set(names, successor, refused)
    expect((await one.get(names))?.id).toBe(successor.id)
    await one.set(names, another, refused)
    expect((await other.get(names))?.id).toBe(successor.id)
  })

  test('a token that is removed is gone for every process, and one that has come in its place stays', async () => {
    const { one, other, names } = await twoProcesses()
    const [removed, successor] = [createToken(100_000), createToken(300_000)]
    await one.set(names, removed)
    await other.remove(names, removed)
    expect(await one.get(names)).toBeUndefined()
    await one.set(names, successor)
    await other.remove(names, removed)
    expect((await one.get(names))?.id).toBe(successor.id)
  })

  test('the same request has the same key in every process, another one has another, and no key tells the request', async () => {
    const { one, other, names } = await twoProcesses()
    expect(other.keysOf(request)).toEqual(names)
    expect(one.keysOf(`${request} `)).not.toEqual(names)
    expect(names[0]).toMatch(/^[\w-]{43}$/)
  })

  test('one has it, the others are told so, and the next one gets it once it is given back', async () => {
    const { one, other, names } = await twoProcesses()
    const lease = await one.acquire(names)
    expect(lease.state).toBe('held')
    expect((await other.acquire(names)).state).toBe('busy')
    expect((await other.acquire(one.keysOf('another'))).state).toBe('held')
    if (lease.state === 'held') await lease.release()
    expect((await other.acquire(names)).state).toBe('held')
  })

  test('the signal wakes who waits, long before the lease would end', async () => {
    const { one, other, names } = await twoProcesses()
    const lease = await one.acquire(names)
    const waiting = timed(other.settled(names, 8000))
    await pause(300)
    const start = performance.now()
    if (lease.state === 'held') await lease.release()
    const { took } = await waiting
    expect(performance.now() - start).toBeLessThan(100)
    expect(took).toBeGreaterThan(290)
  })

  test('who waits for a lease that is already over does not wait', async () => {
    const { one, names } = await twoProcesses()
    expect((await timed(one.settled(names, 8000))).took).toBeLessThan(200)
  })

  test('who waits is let go after its time, whatever the lease does', async () => {
    const { one, other, names } = await twoProcesses()
    await one.acquire(names)
    const { took } = await timed(other.settled(names, 600))
    expect(took).toBeGreaterThan(590)
    expect(took).toBeLessThan(900)
  })

  test('the lease is extended for as long as a slow fetch of five seconds runs', async () => {
    const { one, other, names } = await twoProcesses()
    const lease = await one.acquire(names)
    for (const start = performance.now(); performance.now() - start < 5000; await pause(400))
      expect((await other.acquire(names)).state).toBe('busy')
    if (lease.state === 'held') await lease.release()
    expect((await other.acquire(names)).state).toBe('held')
  })

  test('who has given its lease back, or never had it, does not end another one', async () => {
    const { one, other, names } = await twoProcesses()
    const lease = await one.acquire(names)
    if (lease.state !== 'held') return expect.unreachable('nobody else has it')
    await lease.release()
    expect((await other.acquire(names)).state).toBe('held')
    await lease.release()
    expect((await one.acquire(names)).state).toBe('busy')
  })
})
