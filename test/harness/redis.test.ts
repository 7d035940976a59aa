import { expect, test } from 'vitest'
import { startRedis } from './redis.ts'
import { startRedisCluster } from './redis-cluster.ts'
import { startRedisSentinel } from './redis-sentinel.ts'

test('a Redis starts, is asked, is killed, and comes back on its port', async () => {
  const redis = await startRedis()
  expect(await redis.cli('set', 'one', 'two')).toBe('OK')
  await redis.kill('SIGKILL')
  const again = await startRedis({ port: redis.port })
  expect(await again.cli('get', 'one')).toBe('')
  await Promise.all([redis.stop(), again.stop()])
})

test('a cluster of three masters starts, and says who keeps a key', async () => {
  const cluster = await startRedisCluster()
  expect(await (await cluster.ownerOf('one')).cli('set', 'one', 'two')).toBe('OK')
  expect(await (await cluster.ownerOf('k3')).cli('set', 'k3', 'two')).toBe('OK')
  await cluster.stop()
})

test('sentinels put the replica in the place of a master that is lost', async () => {
  const group = await startRedisSentinel()
  await group.master.kill('SIGKILL')
  await expect
    .poll(() => group.replica.cli('info', 'replication'), { timeout: 10_000, interval: 200 })
    .toContain('role:master')
  await group.stop()
})
