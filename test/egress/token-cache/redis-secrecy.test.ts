import { expect, test } from 'vitest'
import { findLeaks } from '../../harness/leaks.ts'
import { readingsOf } from '../../harness/readings.ts'
import { startRedis } from '../../harness/redis.ts'
import { monitorRedis, readRedis } from '../../harness/redis-monitor.ts'
import { createCacheKeeper, createKey, createToken } from './caches.ts'

const { keep, open } = createCacheKeeper()

test('whoever reads Redis, whole and on the way, finds no token, no client, no scope and no key', async () => {
  const redis = await keep(startRedis())
  const key = createKey()
  const cache = await open({ url: redis.url, encryption_keys: [key] })
  const names = cache.keysOf(JSON.stringify({ client: 'archival-service', scopes: ['customer.read'] }))
  const told = await monitorRedis(redis)
  const token = createToken()
  const lease = await cache.acquire(names)
  await cache.set(names, token)
  await cache.get(names)
  if (lease.state === 'held') await lease.release()
  const held = await cache.acquire(names)
  const kept = await readRedis(redis)
  expect(kept.names.filter((name) => name.endsWith(':token'))).toHaveLength(1)
  const everything = `${told()}\n${kept.text}`
  expect(everything).toContain(`{${names[0]}}`)
  expect(everything).toMatch(/"eval"/i)
  expect(findLeaks(everything, [token.value.read(), key])).toEqual([])
  const read = [...readingsOf(everything)].join('\n').replaceAll('scopegate', '')
  const telling = ['archival', 'customer', 'scope', token.id, String(token.obtainedAt)]
  expect(telling.filter((word) => read.includes(word))).toEqual([])
  if (held.state === 'held') await held.release()
})

test('two entries of one token have nothing in common', async () => {
  const redis = await keep(startRedis())
  const cache = await open({ url: redis.url, encryption_keys: [createKey()] })
  const [names, others] = [cache.keysOf('one'), cache.keysOf('other')]
  const token = createToken()
  await cache.set(names, token)
  await cache.set(others, token)
  const sealed = async ([name]: readonly string[]) => (await redis.cli('get', `scopegate:{${name}}:token`)).split('.')
  const [one, other] = [await sealed(names), await sealed(others)]
  expect(one.slice(0, 2)).toEqual(other.slice(0, 2))
  expect(one[2]?.slice(0, 16)).not.toBe(other[2]?.slice(0, 16))
  expect(one[2]?.slice(-16)).not.toBe(other[2]?.slice(-16))
})
