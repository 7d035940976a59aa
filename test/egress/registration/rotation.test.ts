import { setTimeout as pause } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import { startLoad } from '../../faults/load.ts'
import { createTestClock } from '../../harness/clock.ts'
import { createKeeper } from '../../proxy/keep.ts'
import { createFolder, startRegisteringGateway, statusOf } from './registering-gateway.ts'
import { startRegistrationServer } from './registration-server.ts'

const { keep } = createKeeper()
const minute = 60_000
const hour = 60 * minute

test('a secret that expires is replaced by changing the registration, under load, and no request fails', async () => {
  const server = await keep(startRegistrationServer())
  Object.assign(server.manners, { isManaged: true, renewsSecret: true, changesAccessToken: true, secretLife: 3000 })
  server.lifetime = 1
  const { file } = await keep(createFolder())
  const gateway = await keep(startRegisteringGateway({ server, file }))
  const load = startLoad({ ports: [gateway.port], paths: ['/'], perSecond: 100 })
  await pause(7000)
  const { failed, answers } = await load.stop()
  expect([failed, answers.length > 500]).toEqual([[], true])
  expect(server.requestsTo('register')).toHaveLength(1)
  // Each with the registration access token of the one before.
  expect(server.requestsTo('manage').length).toBeGreaterThanOrEqual(2)
  const used = server.requestsTo('manage').map(({ headers }) => headers.authorization)
  expect(new Set(used).size).toBe(used.length)
  expect(server.answersTo('manage')).toEqual(used.map(() => 200))
}, 20_000)

test('a secret that expires is replaced by another registration where the server has no other way, and no request fails', async () => {
  const clock = createTestClock()
  const server = await keep(startRegistrationServer(clock))
  server.manners.secretLife = 100 * minute
  const { file } = await keep(createFolder())
  const gateway = await keep(startRegisteringGateway({ server, file }, clock))
  const statuses: number[] = []
  for (let at = 0; at < 170; at++) {
    statuses.push(...(await Promise.all(Array.from({ length: 5 }, () => statusOf(gateway)))))
    await clock.advance(minute)
  }
  expect(new Set(statuses)).toEqual(new Set([200]))
  // After 75 minutes each: a quarter of its life before its end.
  expect(server.requestsTo('register')).toHaveLength(3)
}, 20_000)

test('a change that brings no other secret is followed by another registration, which is not asked for every time', async () => {
  const clock = createTestClock()
  const server = await keep(startRegistrationServer(clock))
  Object.assign(server.manners, { isManaged: true, changesAccessToken: true, secretLife: 40 * minute })
  const { file } = await keep(createFolder())
  const gateway = await keep(startRegisteringGateway({ server, file }, clock))
  expect(await statusOf(gateway)).toBe(200)
  await clock.advance(30 * minute)
  await vi.waitFor(() => expect(gateway.log.find({ msg: 'registration not renewed' })).not.toEqual([]))
  for (let step = 0; step < 20; step++) await clock.advance(minute)
  expect([server.requestsTo('manage').length, server.requestsTo('register').length]).toEqual([1, 1])
  await vi.waitFor(
    async () => {
      await clock.advance(minute)
      expect(server.requestsTo('register')).toHaveLength(2)
    },
    { timeout: 5000 },
  )
  expect([server.requestsTo('manage').length, server.requestsTo('register').length]).toEqual([1, 2])
  expect(await statusOf(gateway)).toBe(200)
})

test('a process that comes back with an expired secret replaces it before it asks for a token', async () => {
  const clock = createTestClock()
  const server = await keep(startRegistrationServer(clock))
  Object.assign(server.manners, { isManaged: true, renewsSecret: true, secretLife: hour })
  const { file } = await keep(createFolder())
  const before = await startRegisteringGateway({ server, file }, clock)
  expect(await statusOf(before)).toBe(200)
  await before.stop()
  await clock.advance(3 * hour)
  const gateway = await keep(startRegisteringGateway({ server, file }, clock))
  expect(await statusOf(gateway)).toBe(200)
  expect(server.answersTo('token')).toEqual([200, 200])
  expect([server.requestsTo('manage').length, server.requestsTo('register').length]).toEqual([1, 1])
})

test('a registration access token is kept before it is used: who comes after a change has the one that counts', async () => {
  const clock = createTestClock()
  const server = await keep(startRegistrationServer(clock))
  Object.assign(server.manners, { isManaged: true, renewsSecret: true, changesAccessToken: true, secretLife: 4 * hour })
  const { file } = await keep(createFolder())
  const before = await startRegisteringGateway({ server, file }, clock)
  expect(await statusOf(before)).toBe(200)
  await clock.advance(3 * hour)
  await vi.waitFor(() => expect(before.log.find({ msg: 'registration changed' })).toHaveLength(1))
  await before.stop()
  const gateway = await keep(startRegisteringGateway({ server, file }, clock))
  expect(await statusOf(gateway)).toBe(200)
  await clock.advance(3 * hour)
  await vi.waitFor(() => expect(gateway.log.find({ msg: 'registration changed' })).toHaveLength(1))
  expect(server.answersTo('manage')).toEqual([200, 200])
})

test('a server that is away when the secret is to be replaced is asked again, and not for another client', async () => {
  const clock = createTestClock()
  const server = await keep(startRegistrationServer(clock))
  Object.assign(server.manners, { isManaged: true, renewsSecret: true, secretLife: 8 * hour })
  const { file } = await keep(createFolder())
  const gateway = await keep(startRegisteringGateway({ server, file }, clock))
  expect(await statusOf(gateway)).toBe(200)
  server.manners.isBusy = true
  await clock.advance(6 * hour)
  const notRenewed = () => gateway.log.find({ msg: 'registration not renewed' }).length
  await vi.waitFor(() => expect(notRenewed()).toBe(1))
  await clock.advance(1000)
  await vi.waitFor(() => expect(notRenewed()).toBe(2))
  server.manners.isBusy = false
  await clock.advance(2000)
  await vi.waitFor(() => expect(gateway.log.find({ msg: 'registration changed' })).toHaveLength(1))
  expect(server.requestsTo('register')).toHaveLength(1)
})

test('a secret that has expired by the time it comes is no reason to ask for another one again and again', async () => {
  const clock = createTestClock()
  const server = await keep(startRegistrationServer(clock))
  Object.assign(server.manners, { isManaged: true, renewsSecret: true, secretLife: -minute })
  const { file } = await keep(createFolder())
  const gateway = await keep(startRegisteringGateway({ server, file }, clock))
  expect(await statusOf(gateway)).toBe(502)
  for (let step = 0; step < 30; step++) {
    await clock.advance(1000)
    await pause(5)
  }
  expect([server.requestsTo('manage').length, server.requestsTo('register').length]).toEqual([0, 1])
})
