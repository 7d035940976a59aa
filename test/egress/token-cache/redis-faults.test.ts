import { createServer } from 'node:net'
import { describe, expect, test } from 'vitest'
import type { AccessToken } from '../../../src/egress/access-token.ts'
import { listen } from '../../harness/listen.ts'
import { type RunningRedis, startRedis } from '../../harness/redis.ts'
import { createSecret } from '../../harness/secrets.ts'
import { createCacheKeeper, createKey, createToken, type TestCache, timed } from './caches.ts'

const { keep, open } = createCacheKeeper()

async function cacheOnRedis() {
  const redis = await keep(startRedis())
  const cache = await open({ url: redis.url, encryption_keys: [createKey()] })
  return { redis, cache, names: cache.keysOf('one') }
}

/** What is logged, in the order of time: `lost` or `found`. */
function changes(cache: TestCache): unknown[] {
  return cache.log.entries().map(({ msg }) => String(msg).replace('redis ', ''))
}

/** How long it takes until what is written is read again. */
async function untilUsed(cache: TestCache): Promise<number> {
  const names = cache.keysOf('something new')
  const { took } = await timed(
    expect
      .poll(
        async () => {
          await cache.set(names, createToken())
          return cache.get(names)
        },
        { timeout: 10_000, interval: 20 },
      )
      .toBeDefined(),
  )
  return took
}

/** Everything that a request does with the cache. */
async function useOnce(cache: TestCache, token: AccessToken): Promise<void> {
  const names = cache.keysOf('one')
  await cache.get(names)
  const lease = await cache.acquire(names)
  if (lease.state === 'busy') await cache.settled(names, 20)
  await cache.set(names, token)
  if (lease.state === 'held') await lease.release()
}

/** A hundred at once, and how long the slowest took. */
async function slowest(cache: TestCache): Promise<number> {
  const token = createToken()
  const each = await Promise.all(Array.from({ length: 100 }, () => timed(useOnce(cache, token))))
  return Math.max(...each.map(({ took }) => took))
}

/** True if nothing at all is waited for. */
async function costsNothing(cache: TestCache): Promise<boolean> {
  const token = createToken()
  const turn = new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))
  return Promise.race([useOnce(cache, token).then(() => true), turn])
}

describe('a Redis with trouble', () => {
  test('one that is silent costs its first requests 50 ms, the next ones nothing, and is used again soon after', async () => {
    const { redis, cache, names } = await cacheOnRedis()
    await cache.set(names, createToken())
    await redis.kill('SIGSTOP')
    const first = await slowest(cache)
    expect(first).toBeGreaterThan(35)
    expect(first).toBeLessThan(120)
    expect(await costsNothing(cache)).toBe(true)
    expect(await cache.acquire(names)).toEqual({ state: 'unavailable' })
    await new Promise((resolve) => setTimeout(resolve, 3500))
    expect(await costsNothing(cache)).toBe(true)
    await redis.kill('SIGCONT')
    expect(await untilUsed(cache)).toBeLessThan(3000)
    expect(changes(cache)).toEqual(['lost', 'found'])
    expect(cache.log.find({ msg: 'redis lost' })).toMatchObject([{ level: 'warn', reason: 'TIMEOUT' }])
  })

  test('one that is killed costs nothing, and is used again once it is back on its port', async () => {
    const { redis, cache, names } = await cacheOnRedis()
    await new Promise((resolve) => setTimeout(resolve, 1100))
    await redis.kill('SIGKILL')
    expect(await slowest(cache)).toBeLessThan(120)
    expect(await cache.get(names)).toBeUndefined()
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(await costsNothing(cache)).toBe(true)
    await keep(startRedis({ port: redis.port }))
    expect(await untilUsed(cache)).toBeLessThan(3000)
    expect(changes(cache)).toEqual(['lost', 'found'])
    expect(cache.log.find({ msg: 'redis lost' })).toMatchObject([
      { reason: expect.stringMatching(/^ECONN(REFUSED|RESET)$/) },
    ])
  })

  test('one that ends idle connections is simply connected to again, and nothing is said', async () => {
    const { redis, cache, names } = await cacheOnRedis()
    const token = createToken()
    await cache.set(names, token)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    await redis.cli('client', 'kill', 'type', 'normal', 'skipme', 'yes')
    await expect.poll(async () => (await cache.get(names))?.id, { interval: 5 }).toBe(token.id)
    expect(changes(cache)).toEqual([])
  })

  test('one that is not there at the start stops nothing, and is used once it comes', async () => {
    const gone = await startRedis()
    await gone.stop()
    const cache = await open({ url: gone.url, encryption_keys: [createKey()] })
    expect(await costsNothing(cache)).toBe(true)
    await keep(startRedis({ port: gone.port }))
    expect(await untilUsed(cache)).toBeLessThan(3000)
    expect(changes(cache)).toEqual(['lost', 'found'])
  })

  test('one that takes connections and never answers holds nobody up', async () => {
    const silent = await keep(listen(createServer((socket) => socket.resume())))
    const { value: cache, took } = await timed(
      open({ url: `redis://127.0.0.1:${silent.port}`, encryption_keys: [createKey()] }),
    )
    expect(took).toBeLessThan(2500)
    expect(await costsNothing(cache)).toBe(true)
    expect(changes(cache)).toEqual(['lost'])
  })

  test('one that answers what is no Redis is as if it were not there', async () => {
    const other = await keep(listen(createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'))))
    const cache = await open({ url: `redis://127.0.0.1:${other.port}`, encryption_keys: [createKey()] })
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(await costsNothing(cache)).toBe(true)
    expect(changes(cache)).toEqual(['lost'])
  })

  test('one that may not be written, being a replica now, is not used until it may be', async () => {
    const { redis, cache, names } = await cacheOnRedis()
    const master = await keep(startRedis())
    await cache.set(names, createToken())
    await redis.cli('replicaof', '127.0.0.1', String(master.port))
    await cache.set(names, createToken(400_000))
    await cache.set(names, createToken(400_000))
    expect(await cache.acquire(names)).toEqual({ state: 'unavailable' })
    expect(cache.log.find({ msg: 'redis lost' })).toMatchObject([{ reason: 'READONLY' }])
    await redis.cli('replicaof', 'no', 'one')
    expect(await untilUsed(cache)).toBeLessThan(3000)
  })

  test('one that is full is not used until there is room', async () => {
    const { redis, cache } = await cacheOnRedis()
    await redis.cli('config', 'set', 'maxmemory', '1')
    await useOnce(cache, createToken())
    expect(await costsNothing(cache)).toBe(true)
    expect(cache.log.find({ msg: 'redis lost' })).toMatchObject([{ reason: 'OOM' }])
    await redis.cli('config', 'set', 'maxmemory', '0')
    expect(await untilUsed(cache)).toBeLessThan(3000)
  })

  test('who waits for another process is let go as soon as Redis is lost', async () => {
    const { redis, cache, names } = await cacheOnRedis()
    await cache.acquire(names)
    const waiting = timed(cache.settled(names, 8000))
    await redis.kill('SIGSTOP')
    expect((await waiting).took).toBeLessThan(500)
  })

  test('a cache that is closed answers at once, and leaves no connection', async () => {
    const { redis, cache, names } = await cacheOnRedis()
    await cache.close()
    expect(await cache.get(names)).toBeUndefined()
    await cache.set(names, createToken())
    expect(await cache.acquire(names)).toEqual({ state: 'unavailable' })
    await expect.poll(() => connections(redis)).toBe(1)
  })

  test('a busy process of one’s own does not count as a slow Redis', async () => {
    const { cache, names } = await cacheOnRedis()
    const token = createToken()
    await cache.set(names, token)
    const reading = cache.get(names)
    const until = performance.now() + 300
    while (performance.now() < until);
    expect((await reading)?.id).toBe(token.id)
    expect(changes(cache)).toEqual([])
  })
})

describe('a password', () => {
  test('that is right opens the door, in the url and beside it', async () => {
    const password = createSecret()
    const redis = await keep(startRedis({ password }))
    const keys = [createKey()]
    const inside = await open({ url: `redis://:${password}@127.0.0.1:${redis.port}/3`, encryption_keys: keys })
    const beside = await open({ url: redis.url, password, database: 3, encryption_keys: keys })
    const token = createToken()
    await inside.set(inside.keysOf('one'), token)
    expect((await beside.get(beside.keysOf('one')))?.id).toBe(token.id)
    expect(await redis.cli('-n', '3', 'dbsize')).not.toBe('0')
    expect(changes(inside)).toEqual([])
  })

  test('that is wrong is told once, without the password, and costs nobody anything', async () => {
    const [password, wrong] = [createSecret(), createSecret()]
    const redis = await keep(startRedis({ password }))
    const cache = await open({ url: `redis://:${wrong}@127.0.0.1:${redis.port}`, encryption_keys: [createKey()] })
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect(await costsNothing(cache)).toBe(true)
    expect(cache.log.entries()).toMatchObject([{ msg: 'redis lost', reason: 'WRONGPASS' }])
    expect(cache.log.text()).not.toContain(wrong)
    await redis.cli('config', 'set', 'requirepass', wrong)
    expect(await untilUsed(cache)).toBeLessThan(3000)
  })

  test('that is missing is told once', async () => {
    const redis = await keep(startRedis({ password: createSecret() }))
    const cache = await open({ url: redis.url, encryption_keys: [createKey()] })
    expect(cache.log.entries()).toMatchObject([{ msg: 'redis lost', reason: 'NOAUTH' }])
  })

  test('of an ACL user that may do only what is needed is enough', async () => {
    const redis = await keep(startRedis())
    const password = createSecret()
    await redis.cli(
      ...['acl', 'setuser', 'gateway', 'on', `>${password}`, '~scopegate:*', '&scopegate:*', '-@all'],
      ...['+eval', '+get', '+set', '+del', '+pttl', '+pexpire', '+publish', '+subscribe'],
    )
    const cache = await open({ url: redis.url, username: 'gateway', password, encryption_keys: [createKey()] })
    const names = cache.keysOf('one')
    const lease = await cache.acquire(names)
    await cache.set(names, createToken())
    expect(await cache.get(names)).toBeDefined()
    const waiting = timed(cache.settled(names, 8000))
    if (lease.state === 'held') await lease.release()
    expect((await waiting).took).toBeLessThan(200)
    expect(changes(cache)).toEqual([])
  })

  test('of an ACL user that may do too little is told once', async () => {
    const redis = await keep(startRedis())
    const password = createSecret()
    await redis.cli('acl', 'setuser', 'reader', 'on', `>${password}`, '~*', '&*', '-@all', '+@read', '+eval')
    const cache = await open({ url: redis.url, username: 'reader', password, encryption_keys: [createKey()] })
    await new Promise((resolve) => setTimeout(resolve, 1200))
    expect(await costsNothing(cache)).toBe(true)
    expect(changes(cache)).toEqual(['lost'])
    expect(cache.log.text()).toContain('NOPERM')
  })

  test('is of no use in a database that does not exist, and no other one is taken instead', async () => {
    const redis = await keep(startRedis())
    const cache = await open({ url: redis.url, database: 99, encryption_keys: [createKey()] })
    await cache.set(cache.keysOf('one'), createToken())
    expect(await redis.cli('dbsize')).toBe('0')
    expect(changes(cache)).toEqual(['lost'])
  })
})

async function connections(redis: RunningRedis): Promise<number> {
  return (await redis.cli('client', 'list')).split('\n').length
}
