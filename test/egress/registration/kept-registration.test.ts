import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { beforeEach, describe, expect, test } from 'vitest'
import type { RunningGateway } from '../../harness/gateway.ts'
import { type RunningRedis, startRedis } from '../../harness/redis.ts'
import { createKeeper } from '../../proxy/keep.ts'
import { createKey } from '../token-cache/caches.ts'
import { anyKey, createFolder, startRegisteringGateway, statusOf } from './registering-gateway.ts'
import { type RegistrationServer, startRegistrationServer } from './registration-server.ts'
import { createShiftingClock, type ShiftingClock } from './shifting-clock.ts'

const { keep } = createKeeper()
const hour = 3_600_000

let clock: ShiftingClock
let server: RegistrationServer
beforeEach(async () => {
  clock = createShiftingClock()
  server = await keep(startRegistrationServer(clock))
})

const registrations = () => server.requestsTo('register').length

/** Where registrations are kept, as whoever looks into it finds it. */
interface Place {
  readonly wish: { readonly file: string } | { readonly redis: string }
  /** What an error calls it. */
  readonly name: string
  read(): Promise<string>
  change(change: (sealed: string) => string): Promise<void>
}

async function filePlace(): Promise<Place> {
  const { file } = await keep(createFolder())
  const records = () => Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Record<string, string>)
  return {
    wish: { file },
    name: file,
    read: async () => readFileSync(file, 'utf8'),
    async change(change) {
      writeFileSync(file, JSON.stringify(Object.fromEntries(records().map(([name, sealed]) => [name, change(sealed)]))))
    },
  }
}

async function redisPlace(): Promise<Place> {
  const redis: RunningRedis = await keep(startRedis())
  const name = async () => (await redis.cli('--scan', '--pattern', 'scopegate:*:registration')).trim()
  return {
    wish: { redis: redis.url },
    name: ':registration in Redis',
    read: async () => `${await name()} ${await redis.cli('get', await name())} ${await redis.cli('ttl', await name())}`,
    change: async (change) => void (await redis.cli('set', await name(), change(await redis.cli('get', await name())))),
  }
}

const places = [
  ['a file', filePlace],
  ['Redis', redisPlace],
] as const

/** Another character in the middle of what is encrypted. */
const tamper = (sealed: string) => `${sealed.slice(0, -9)}${sealed.at(-9) === 'A' ? 'B' : 'A'}${sealed.slice(-8)}`

describe.each(places)('a registration in %s', (_, makePlace) => {
  let place: Place
  beforeEach(async () => {
    place = await makePlace()
  })
  const open = (keys?: readonly string[]): Promise<RunningGateway> =>
    keep(startRegisteringGateway({ server, ...place.wish, ...(keys && { keys }) }, clock))

  test('is found by whoever starts later, and tells nothing', async () => {
    expect(await statusOf(await open())).toBe(200)
    expect([await statusOf(await open()), registrations()]).toEqual([200, 1])
    const kept = await place.read()
    const [[id, { secret }] = ['', { secret: '' }]] = server.clients
    for (const telling of [id, secret, 'legacy', 'client']) expect(kept).not.toContain(telling)
  })

  test.each([
    ['was changed', tamper],
    ['was cut off', (sealed: string) => sealed.slice(0, 60)],
    ['is something else', () => 'v1.abc.def'],
  ])('that %s is an error that names the place, and never another registration', async (_what, spoil) => {
    const gateway = await open()
    expect(await statusOf(gateway)).toBe(200)
    await place.change(spoil)
    const other = await open()
    expect(await statusOf(other)).toBe(503)
    clock.skip(2 * hour)
    server.clients.clear()
    expect([await statusOf(other), await statusOf(gateway)]).toEqual([503, 502])
    expect(registrations()).toBe(1)
    expect(other.lastLine().reason).toContain('cannot be decrypted')
    expect(other.lastLine().reason).toContain(place.name)
  })

  test('whose key is not there is an error, until it is back', async () => {
    expect(await statusOf(await open())).toBe(200)
    const key = createKey()
    expect(await statusOf(await open([key]))).toBe(503)
    clock.skip(2 * hour)
    expect(await statusOf(await open([key]))).toBe(503)
    expect(await statusOf(await open([key, anyKey]))).toBe(200)
    expect(registrations()).toBe(1)
  })

  test('is encrypted with the first key by the next one who starts, so that an older one can be taken away', async () => {
    const key = createKey()
    for (const keys of [[anyKey], [anyKey, key], [key, anyKey], [key]])
      expect(await statusOf(await open(keys))).toBe(200)
    expect(await statusOf(await open([anyKey]))).toBe(503)
    expect(registrations()).toBe(1)
  })
})

test('in Redis a registration never expires', async () => {
  const place = await redisPlace()
  expect(await statusOf(await keep(startRegisteringGateway({ server, ...place.wish })))).toBe(200)
  expect(await place.read()).toMatch(/ -1$/)
})

test('the client of another server, or of another name, is another one', async () => {
  const { wish } = await filePlace()
  const other = await keep(startRegistrationServer())
  for (const each of [server, other])
    expect(await statusOf(await keep(startRegisteringGateway({ server: each, ...wish })))).toBe(200)
  expect([registrations(), other.requestsTo('register').length]).toEqual([1, 1])
  expect(await statusOf(await keep(startRegisteringGateway({ server, ...wish })))).toBe(200)
  expect(registrations()).toBe(1)
})

describe('the file', () => {
  test('is its owner’s alone, and nothing is left beside it', async () => {
    const { path, file } = await keep(createFolder())
    expect(await statusOf(await keep(startRegisteringGateway({ server, file })))).toBe(200)
    expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(path)).toEqual(['registrations'])
  })

  test.each([
    ['was emptied', (file: string) => writeFileSync(file, '')],
    ['was cut off', (file: string) => writeFileSync(file, readFileSync(file, 'utf8').slice(0, -5))],
    ['is of something else', (file: string) => writeFileSync(file, '["a"]')],
    ['holds something else', (file: string) => writeFileSync(file, '{"a":1}')],
  ])('that %s is an error that names it, and never another registration', async (_what, spoil) => {
    const { file } = await keep(createFolder())
    expect(await statusOf(await keep(startRegisteringGateway({ server, file })))).toBe(200)
    spoil(file)
    const gateway = await keep(startRegisteringGateway({ server, file }))
    expect([await statusOf(gateway), registrations()]).toEqual([503, 1])
    expect(gateway.lastLine().reason).toContain(file)
  })

  test('in a folder that is not there is an error before anybody is registered', async () => {
    const { file } = await keep(createFolder())
    const gateway = await keep(startRegisteringGateway({ server, file: `${file}/deeper` }))
    expect([await statusOf(gateway), registrations()]).toEqual([503, 0])
    expect(gateway.lastLine().reason).toContain(`${file}/deeper, which cannot be read or written (ENOENT)`)
    expect(readdirSync(dirname(file))).toEqual([])
  })
})

test('a Redis that cannot be had is an error, and no registration; with one that is known all goes on', async () => {
  const redis = await keep(startRedis())
  const gateway = await keep(startRegisteringGateway({ server, redis: redis.url }))
  expect(await statusOf(gateway)).toBe(200)
  await redis.stop()
  const other = await keep(startRegisteringGateway({ server, redis: redis.url }))
  expect([await statusOf(other), await statusOf(gateway), registrations()]).toEqual([503, 200, 1])
  expect(other.lastLine()).toMatchObject({ code: 'authorization_server_unavailable' })
})
