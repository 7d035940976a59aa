import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { hashSlot } from '../../../src/egress/token-cache/hash-slot.ts'
import { testAuthority, testCertificate } from '../../harness/certificates.ts'
import { startRedis } from '../../harness/redis.ts'
import { startRedisCluster } from '../../harness/redis-cluster.ts'
import { type RunningSentinels, startRedisSentinel } from '../../harness/redis-sentinel.ts'
import { createSecret } from '../../harness/secrets.ts'
import { createCacheKeeper, createKey, createToken, type TestCache, timed } from './caches.ts'

const { keep, open } = createCacheKeeper()
const file = (name: string) => fileURLToPath(new URL(`../../harness/certificates/${name}`, import.meta.url))

const usable = async (cache: TestCache, request: string) => {
  const names = cache.keysOf(request)
  await cache.set(names, createToken())
  return (await cache.get(names)) !== undefined
}

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

describe('TLS', () => {
  const startTls = () =>
    startRedis({ tls: { certificate: file('server.pem'), privateKey: file('server.key'), ca: file('ca.pem') } })
  const { certificate, privateKey } = testCertificate('client')
  const client = { ca: testAuthority, certificate, private_key: privateKey }

  test('with a client certificate, as the Redis demands it', async () => {
    const redis = await keep(startTls())
    const block = { url: redis.url, tls: client, encryption_keys: [createKey()] }
    const [one, other] = [await open(block), await open(block)]
    const token = createToken()
    await one.set(one.keysOf('one'), token)
    expect((await other.get(other.keysOf('one')))?.id).toBe(token.id)
    const lease = await one.acquire(one.keysOf('one'))
    const waiting = timed(other.settled(one.keysOf('one'), 8000))
    if (lease.state === 'held') await lease.release()
    expect((await waiting).took).toBeLessThan(200)
    expect(one.log.entries()).toEqual([])
  })

  test.each([
    ['without a client certificate', { ca: testAuthority }],
    ['where nobody vouches for the Redis', { certificate, private_key: privateKey }],
    ['where the Redis has another name', { ...client, server_name: 'cache.example' }],
  ])('nothing is kept %s', async (_case, tls) => {
    const redis = await keep(startTls())
    const cache = await open({ url: redis.url, tls, encryption_keys: [createKey()] })
    expect(await usable(cache, 'one')).toBe(false)
    expect(cache.log.find({ msg: 'redis lost' })).toHaveLength(1)
    expect(cache.log.text()).not.toContain('PRIVATE KEY')
  })

  test('is spoken to a Redis that does not know it in vain, and nothing is sent in the open', async () => {
    const redis = await keep(startRedis())
    const cache = await open({ url: `rediss://${redis.address}`, encryption_keys: [createKey()] })
    expect(await usable(cache, 'one')).toBe(false)
    expect(await redis.cli('dbsize')).toBe('0')
  })
})

describe('sentinels', () => {
  /** The sentinels may have to vote twice, which takes them some seconds. */
  const promoted = (group: RunningSentinels) =>
    expect.poll(() => group.replica.cli('role'), { timeout: 15_000, interval: 50 }).toContain('master')

  test('lead to the master, and to its successor once it is lost', async () => {
    const group = await keep(startRedisSentinel(3))
    const cache = await open({ sentinels: group.addresses, name: group.name, encryption_keys: [createKey()] })
    expect(await usable(cache, 'one')).toBe(true)
    await pause(1100)
    await group.master.kill('SIGKILL')
    await usable(cache, 'one')
    await promoted(group)
    const { took } = await timed(expect.poll(() => usable(cache, 'two'), { timeout: 15_000, interval: 20 }).toBe(true))
    expect(took).toBeLessThan(5000)
    expect(cache.log.entries().map(({ msg }) => msg)).toEqual(['redis lost', 'redis found'])
    expect(await group.replica.cli('dbsize')).not.toBe('0')
  })

  test('lead away from a master that is silent, and from a sentinel that is', async () => {
    const group = await keep(startRedisSentinel(3))
    await group.sentinels[0]?.kill('SIGSTOP')
    const cache = await open({ sentinels: group.addresses, name: group.name, encryption_keys: [createKey()] })
    expect(await usable(cache, 'one')).toBe(true)
    await group.master.kill('SIGSTOP')
    await usable(cache, 'one')
    await promoted(group)
    const { took } = await timed(expect.poll(() => usable(cache, 'two'), { timeout: 15_000, interval: 20 }).toBe(true))
    expect(took).toBeLessThan(5000)
  })

  test('that do not know the name are told of once', async () => {
    const group = await keep(startRedisSentinel())
    const cache = await open({ sentinels: group.addresses, name: 'another', encryption_keys: [createKey()] })
    await pause(1200)
    expect(await usable(cache, 'one')).toBe(false)
    expect(cache.log.entries()).toHaveLength(1)
  })
})

describe('a cluster', () => {
  const requests = Array.from({ length: 30 }, (_, index) => `request ${index}`)
  const usableOnes = async (cache: TestCache) => {
    const found: string[] = []
    for (const request of requests) if (await usable(cache, request)) found.push(request)
    return found
  }

  test('keeps the tokens of all its masters, and its signals reach everybody', async () => {
    const cluster = await keep(startRedisCluster())
    const block = { cluster: [cluster.addresses[0]], encryption_keys: [createKey()] }
    const [one, other] = [await open(block), await open(block)]
    expect(await usableOnes(one)).toEqual(requests)
    for (const master of cluster.masters) expect(await master.cli('dbsize')).not.toBe('0')
    for (const names of requests.slice(0, 5).map(one.keysOf)) {
      const lease = await one.acquire(names)
      expect((await other.acquire(names)).state).toBe('busy')
      const waiting = timed(other.settled(names, 8000))
      if (lease.state === 'held') await lease.release()
      expect((await waiting).took).toBeLessThan(200)
    }
    expect(one.log.entries()).toEqual([])
  })

  test('goes on with what is left when a master is lost, and with all of it when it is back', async () => {
    const cluster = await keep(startRedisCluster({ fullCoverage: false }))
    const cache = await open({ cluster: cluster.addresses, encryption_keys: [createKey()] })
    const owner = await cluster.ownerOf(`scopegate:{${cache.keysOf('request 0')[0]}}:token`)
    await owner.kill('SIGSTOP')
    await usableOnes(cache)
    const { value: left, took } = await timed(usableOnes(cache))
    expect(left.length).toBeGreaterThan(8)
    expect(left).not.toContain('request 0')
    expect(took).toBeLessThan(1000)
    await pause(2500)
    expect(await usableOnes(cache)).toEqual(left)
    await owner.kill('SIGCONT')
    const back = await timed(
      expect.poll(() => usable(cache, 'request 0'), { timeout: 10_000, interval: 20 }).toBe(true),
    )
    expect(back.took).toBeLessThan(5000)
    expect(await usableOnes(cache)).toEqual(requests)
    expect(cache.log.entries()).toMatchObject([
      { msg: 'redis lost', node: owner.address },
      { msg: 'redis found', node: owner.address },
    ])
  })

  test.each(['SIGKILL', 'SIGSTOP'] as const)(
    'has the replica take the place of a master that is lost by %s',
    async (signal) => {
      const cluster = await keep(startRedisCluster({ replicas: 1 }))
      const cache = await open({ cluster: cluster.addresses, encryption_keys: [createKey()] })
      expect(await usableOnes(cache)).toEqual(requests)
      const owner = await cluster.ownerOf(`scopegate:{${cache.keysOf('request 0')[0]}}:token`)
      await owner.kill(signal)
      await usable(cache, 'request 0')
      const { took } = await timed(
        expect.poll(() => usableOnes(cache), { timeout: 20_000, interval: 50 }).toEqual(requests),
      )
      expect(took).toBeLessThan(10_000)
    },
    40_000,
  )

  test('that is silent as a whole is used again once it answers', async () => {
    const cluster = await keep(startRedisCluster())
    const cache = await open({ cluster: cluster.addresses, encryption_keys: [createKey()] })
    for (const node of cluster.nodes) await node.kill('SIGSTOP')
    await usableOnes(cache)
    await pause(7000)
    const { took } = await timed(usableOnes(cache))
    expect(took).toBeLessThan(500)
    for (const node of cluster.nodes) await node.kill('SIGCONT')
    const back = await timed(expect.poll(() => usableOnes(cache), { timeout: 15_000, interval: 20 }).toEqual(requests))
    expect(back.took).toBeLessThan(8000)
    const asAWhole = cache.log.entries().filter(({ node }) => node === undefined)
    expect(asAWhole.map(({ msg }) => msg)).toEqual(['redis lost', 'redis found'])
    expect(cache.log.entries().length).toBeLessThan(12)
  }, 40_000)
})

test('a hash slot is what the cluster says it is', async () => {
  const redis = await keep(startRedis({ config: ['cluster-enabled yes'] }))
  for (const tag of ['123456789', 'a', 'foo', createKey()])
    expect(hashSlot(tag)).toBe(Number(await redis.cli('cluster', 'keyslot', tag)))
})

test('an ACL user that may do only what the README names is enough for a cluster, and for another database', async () => {
  const password = createSecret()
  const rules = ['~scopegate:*', '&scopegate:*', '-@all', '+eval', '+get', '+set', '+del', '+pttl', '+pexpire']
  const user = ['acl', 'setuser', 'scopegate', 'on', `>${password}`, ...rules, '+publish', '+subscribe']
  const cluster = await keep(startRedisCluster())
  for (const node of cluster.nodes) await node.cli(...user, '+cluster|slots', '+info')
  const redis = await keep(startRedis())
  await redis.cli(...user, '+select')
  const account = { username: 'scopegate', password, encryption_keys: [createKey()] }
  for (const place of [{ cluster: cluster.addresses }, { url: redis.url, database: 2 }]) {
    const [one, other] = [await open({ ...place, ...account }), await open({ ...place, ...account })]
    expect(await usable(one, 'one')).toBe(true)
    const lease = await one.acquire(one.keysOf('one'))
    const waiting = timed(other.settled(one.keysOf('one'), 8000))
    await pause(50)
    if (lease.state === 'held') await lease.release()
    expect((await waiting).took).toBeLessThan(200)
    expect([...one.log.entries(), ...other.log.entries()]).toEqual([])
  }
})
