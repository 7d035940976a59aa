import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { startRedis } from '../../harness/redis.ts'
import { createCacheKeeper, createKey, createToken, timed } from './caches.ts'

const { keep, open } = createCacheKeeper()
const request = JSON.stringify({ client: 'archival-service', scopes: ['customer.read'] })

async function twoProcesses() {
  const redis = await keep(startRedis())
  const block = { url: redis.url, encryption_keys: [createKey()] }
  const [one, other] = [await open(block), await open(block)]
  return { redis, block, one, other, names: one.keysOf(request) }
}

describe('tokens in Redis', () => {
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

  test('a token leaves Redis when it is of no use any more', async () => {
    const { redis, one, names } = await twoProcesses()
    await one.set(names, createToken(300_000, Date.now() - 100_000))
    const left = Number(await redis.cli('pttl', `scopegate:{${names[0]}}:token`))
    expect(left).toBeGreaterThan(190_000)
    expect(left).toBeLessThanOrEqual(195_000)
    await one.set(one.keysOf('another'), createToken(1000, Date.now() - 2000))
    expect(await redis.cli('exists', `scopegate:{${one.keysOf('another')[0]}}:token`)).toBe('0')
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

  test('a refused token makes way under the name of an older key, too', async () => {
    const redis = await keep(startRedis())
    const [old, fresh] = [createKey(), createKey()]
    const before = await open({ url: redis.url, encryption_keys: [old] })
    const during = await open({ url: redis.url, encryption_keys: [fresh, old] })
    const [refused, successor] = [createToken(300_000), createToken(100_000)]
    await before.set(before.keysOf(request), refused)
    await during.set(during.keysOf(request), successor, refused)
    expect((await during.get(during.keysOf(request)))?.id).toBe(successor.id)
    expect(await before.get(before.keysOf(request))).toBeUndefined()
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

  test('a process with another key finds nothing, and disturbs nothing', async () => {
    const { redis, one, names } = await twoProcesses()
    const stranger = await open({ url: redis.url, encryption_keys: [createKey()] })
    await one.set(names, createToken())
    expect(await stranger.get(stranger.keysOf(request))).toBeUndefined()
    expect(await stranger.get(names)).toBeUndefined()
  })

  test('while keys are exchanged, old entries are still read, and new ones are written with the first', async () => {
    const redis = await keep(startRedis())
    const [old, fresh] = [createKey(), createKey()]
    const before = await open({ url: redis.url, encryption_keys: [old] })
    const during = await open({ url: redis.url, encryption_keys: [fresh, old] })
    const after = await open({ url: redis.url, encryption_keys: [fresh] })
    const first = createToken()
    await before.set(before.keysOf(request), first)
    expect((await during.get(during.keysOf(request)))?.id).toBe(first.id)
    expect(await after.get(after.keysOf(request))).toBeUndefined()
    const second = createToken(400_000)
    await during.set(during.keysOf(request), second)
    expect((await during.get(during.keysOf(request)))?.id).toBe(second.id)
    expect((await after.get(after.keysOf(request)))?.id).toBe(second.id)
    expect((await before.get(before.keysOf(request)))?.id).toBe(first.id)
  })

  test.each([
    ['changed', (sealed: string) => sealed.slice(0, -3) + (sealed.endsWith('AAA') ? 'BBB' : 'AAA')],
    ['cut off', (sealed: string) => sealed.slice(0, 40)],
    ['without its tag', (sealed: string) => sealed.slice(0, 20)],
    ['something else', () => '{"value":"no token"}'],
    ['empty', () => ''],
    ['of another version', (sealed: string) => sealed.replace('v1', 'v2')],
  ])('an entry that is %s is a miss, and makes room for a good one', async (_what, corrupt) => {
    const { redis, one, names } = await twoProcesses()
    const key = `scopegate:{${names[0]}}:token`
    await one.set(names, createToken())
    await redis.cli('set', key, corrupt(await redis.cli('get', key)), 'px', '900000')
    expect(await one.get(names)).toBeUndefined()
    const next = createToken()
    await one.set(names, next)
    expect((await one.get(names))?.id).toBe(next.id)
    expect(one.log.entries()).toEqual([])
  })

  test('an entry of another kind is a miss, too', async () => {
    const { redis, one, names } = await twoProcesses()
    await redis.cli('lpush', `scopegate:{${names[0]}}:token`, 'a')
    expect(await one.get(names)).toBeUndefined()
    const token = createToken()
    await one.set(names, token)
    expect((await one.get(names))?.id).toBe(token.id)
    expect(one.log.entries()).toEqual([])
  })

  test('an entry that was moved under the name of another request is a miss', async () => {
    const { redis, one, names } = await twoProcesses()
    const [other] = one.keysOf('another')
    await one.set(names, createToken())
    await redis.cli('copy', `scopegate:{${names[0]}}:token`, `scopegate:{${other}}:token`)
    expect(await one.get([other ?? ''])).toBeUndefined()
  })

  test('a token kept by a machine whose clock runs ahead is not used for longer than it is good', async () => {
    const { block, other, names } = await twoProcesses()
    const ahead = {
      now: () => Date.now() + 120_000,
      elapsed: () => performance.now(),
      setTimeout: (work: () => void, delay: number) => timer(work, delay),
    }
    const one = await open(block, ahead)
    await one.set(names, createToken(300_000, ahead.now()))
    const found = await other.get(names)
    expect((found?.usableUntil ?? 0) - Date.now()).toBeLessThan(296_000)
    expect((found?.usableUntil ?? 0) - Date.now()).toBeGreaterThan(290_000)
  })
})

describe('the lease on a token request', () => {
  test('one has it, the others are told so, and the next one gets it once it is given back', async () => {
    const { one, other, names } = await twoProcesses()
    const lease = await one.acquire(names)
    expect(lease.state).toBe('held')
    expect((await other.acquire(names)).state).toBe('busy')
    expect((await other.acquire(one.keysOf('another'))).state).toBe('held')
    if (lease.state === 'held') await lease.release()
    expect((await other.acquire(names)).state).toBe('held')
  })

  test('one has it, whatever the order of the keys while they are exchanged', async () => {
    const redis = await keep(startRedis())
    const [old, fresh] = [createKey(), createKey()]
    const keysOf = (...keys: string[]) => open({ url: redis.url, encryption_keys: keys })
    const caches = await Promise.all([keysOf(old), keysOf(old, fresh), keysOf(fresh, old), keysOf(fresh)])
    for (const [index, cache] of caches.slice(0, -1).entries()) {
      const next = caches[index + 1]
      const lease = await cache.acquire(cache.keysOf(request))
      expect([lease.state, (await next?.acquire(next.keysOf(request)))?.state]).toEqual(['held', 'busy'])
      const waiting = next?.settled(next.keysOf(request), 10_000)
      if (lease.state === 'held') await lease.release()
      expect((await timed(Promise.resolve(waiting))).took).toBeLessThan(2000)
      const after = await next?.acquire(next.keysOf(request))
      expect(after?.state).toBe('held')
      if (after?.state === 'held') await after.release()
    }
    expect(await redis.cli('keys', '*lease*')).toBe('')
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

  test('the lease of a process that was killed ends by itself within two seconds', async () => {
    const { block, one, names } = await twoProcesses()
    const holder = spawn(process.execPath, [fileURLToPath(new URL('holder.ts', import.meta.url))], {
      env: { ...process.env, BLOCK: JSON.stringify(block), REQUEST: request },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [told] = (await once(holder.stdout, 'data')) as [Buffer]
    expect(told.toString()).toBe('held')
    await pause(1200)
    expect((await one.acquire(names)).state).toBe('busy')
    holder.kill('SIGKILL')
    const { took } = await timed(one.settled(names, 8000))
    expect(took).toBeGreaterThan(1000)
    expect(took).toBeLessThan(2300)
    expect((await one.acquire(names)).state).toBe('held')
  })

  test('the lease is extended for as long as a slow fetch of five seconds runs', async () => {
    const { one, other, names } = await twoProcesses()
    const lease = await one.acquire(names)
    for (const start = performance.now(); performance.now() - start < 5000; await pause(400))
      expect((await other.acquire(names)).state).toBe('busy')
    if (lease.state === 'held') await lease.release()
    expect((await other.acquire(names)).state).toBe('held')
  })

  test('who has lost its lease does not take it from its new holder', async () => {
    const { redis, one, other, names } = await twoProcesses()
    const lease = await one.acquire(names)
    await redis.cli('del', `scopegate:{${names[0]}}:lease`)
    expect((await other.acquire(names)).state).toBe('held')
    if (lease.state === 'held') await lease.release()
    expect((await one.acquire(names)).state).toBe('busy')
  })
})

function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds))
}

function timer(work: () => void, delay: number): () => void {
  const handle = setTimeout(work, delay)
  return () => clearTimeout(handle)
}
