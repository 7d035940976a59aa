import { existsSync, readdirSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/base/clock.ts'
import { createFileLock } from '../../../src/egress/registration/file-lock.ts'
import { createTestClock } from '../../harness/clock.ts'
import { createKeeper } from '../../proxy/keep.ts'
import { createFolder, startRegisteringGateway, statusOf } from './registering-gateway.ts'
import { startRegistrationServer } from './registration-server.ts'

const { keep } = createKeeper()
const second = 1000

async function place() {
  const { path } = await keep(createFolder())
  return { path, lock: join(path, 'lock') }
}

test('of many who want it at once one has it, and the next one once it is released', async () => {
  const { lock, path } = await place()
  const locks = Array.from({ length: 20 }, () => createFileLock(lock, systemClock))
  const leases = await Promise.all(locks.map((each) => each.acquire()))
  const [held, ...more] = leases.filter((lease) => lease.state === 'held')
  expect(more).toEqual([])
  let isFree = false
  const waiting = createFileLock(lock, systemClock)
    .settled(10 * second)
    .then(() => {
      isFree = true
    })
  await pause(150)
  expect(isFree).toBe(false)
  await held?.release()
  await waiting
  expect(readdirSync(path)).toEqual([])
  expect((await createFileLock(lock, systemClock).acquire()).state).toBe('held')
})

test('one that nobody touches for ten seconds is of a dead process, and is taken over by one alone', async () => {
  const { lock, path } = await place()
  writeFileSync(lock, 'of somebody who died')
  const clock = createTestClock()
  const locks = Array.from({ length: 20 }, () => createFileLock(lock, clock))
  const states = async () => (await Promise.all(locks.map((each) => each.acquire()))).map(({ state }) => state)
  expect(new Set(await states())).toEqual(new Set(['busy']))
  await clock.advance(10 * second)
  expect(new Set(await states())).toEqual(new Set(['busy']))
  await clock.advance(1)
  expect((await states()).filter((state) => state === 'held')).toHaveLength(1)
  expect(readdirSync(path)).toEqual(['lock'])
})

test('one that its holder touches is never taken over, however long it takes', async () => {
  const { lock } = await place()
  writeFileSync(lock, 'of somebody slow')
  const clock = createTestClock()
  const other = createFileLock(lock, clock)
  for (let at = 1; at <= 30; at++) {
    utimesSync(lock, at, at)
    expect((await other.acquire()).state).toBe('busy')
    await clock.advance(9 * second)
  }
})

test('its holder touches it, and who has lost it to another one does not take it away from them', async () => {
  const { lock } = await place()
  const clock = createTestClock()
  const lease = await createFileLock(lock, clock).acquire()
  const other = createFileLock(lock, clock)
  for (let at = 0; at < 30; at++) {
    await clock.advance(second)
    await pause(5)
    expect((await other.acquire()).state).toBe('busy')
  }
  writeFileSync(lock, 'of another one')
  if (lease.state === 'held') await lease.release()
  expect(existsSync(lock)).toBe(true)
})

test('a gateway whose predecessor died while it registered goes on by itself', async () => {
  const clock = createTestClock()
  const server = await keep(startRegistrationServer(clock))
  const { file, path } = await keep(createFolder())
  const before = await startRegisteringGateway({ server, file }, clock)
  expect(await statusOf(before)).toBe(200)
  await before.stop()
  const [name = ''] = Object.keys(JSON.parse((await import('node:fs')).readFileSync(file, 'utf8')))
  writeFileSync(file, '{}')
  writeFileSync(join(path, `registrations.${name}.lock`), 'of somebody who died')
  const gateway = await keep(startRegisteringGateway({ server, file }, clock))
  const answered = statusOf(gateway)
  for (let at = 0; at < 14; at++) {
    await clock.advance(second)
    await pause(20)
  }
  expect(await answered).toBe(200)
  expect(readdirSync(path)).toEqual(['registrations'])
})
