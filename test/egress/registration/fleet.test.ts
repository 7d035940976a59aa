import { existsSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test, vi } from 'vitest'
import { type GatewayProcess, startGatewayProcess } from '../../faults/gateway-process.ts'
import { getAtOnce, startLoad } from '../../faults/load.ts'
import { createTestClock } from '../../harness/clock.ts'
import { startRedis } from '../../harness/redis.ts'
import { createKeeper } from '../../proxy/keep.ts'
import {
  anyKey,
  type ConfigurationWish,
  configuration as configurationOf,
  createFolder,
  startRegisteringGateway,
  statusOf,
} from './registering-gateway.ts'
import { startRegistrationServer } from './registration-server.ts'

const { keep } = createKeeper()
const hour = 3_600_000

const startProcesses = (count: number, yaml: string) =>
  Promise.all(Array.from({ length: count }, () => keep(startGatewayProcess(yaml, env))))

const env = { REGISTRATION_KEY: anyKey }
const configuration = (wish: ConfigurationWish) => configurationOf({ keys: ['${env:REGISTRATION_KEY}'], ...wish })

const statusesOf = async (members: readonly GatewayProcess[], callers: number) => {
  const answers = await Promise.all(members.map(({ port }) => getAtOnce(callers, { port, path: '/' })))
  return [...new Set(answers.flat().map(({ status }) => status))]
}

describe('processes that start at once', () => {
  test('on one Redis, four of them, register once, and all of their callers are answered', async () => {
    const [server, redis] = await Promise.all([keep(startRegistrationServer()), keep(startRedis())])
    server.manners.delay = 500
    const members = await startProcesses(4, configuration({ server, redis: redis.url }))
    expect(await statusesOf(members, 25)).toEqual([200])
    expect(server.requestsTo('register')).toHaveLength(1)
    expect([...new Set(server.answersTo('token'))]).toEqual([200])
    for (const { program } of members) expect(program.lines().filter(({ level }) => level !== 'info')).toEqual([])
  }, 30_000)

  test('with one file, two of them, register once', async () => {
    const server = await keep(startRegistrationServer())
    server.manners.delay = 500
    const { file } = await keep(createFolder())
    const members = await startProcesses(2, configuration({ server, file }))
    expect(await statusesOf(members, 25)).toEqual([200])
    expect(server.requestsTo('register')).toHaveLength(1)
    expect(existsSync(`${file}.lock`)).toBe(false)
  }, 30_000)

  test('register before anybody asks for a token', async () => {
    const server = await keep(startRegistrationServer())
    const { file } = await keep(createFolder())
    await startProcesses(1, configuration({ server, file }))
    await vi.waitFor(() => expect(server.requestsTo('register')).toHaveLength(1))
    expect(server.requestsTo('token')).toHaveLength(0)
  }, 20_000)
})

describe('two gateways that share a registration', () => {
  const manners = { isManaged: true, renewsSecret: true, changesAccessToken: true }

  test.each([
    ['a file', async () => ({ file: (await keep(createFolder())).file })],
    ['Redis', async () => ({ redis: (await keep(startRedis())).url })],
  ])(
    'in %s replace its secret again and again under load, and no request fails',
    async (_, place) => {
      const server = await keep(startRegistrationServer())
      Object.assign(server.manners, manners, { secretLife: 3000 })
      server.lifetime = 1
      const where = await place()
      const [one, other] = await Promise.all(
        ['a', 'b'].map((scope) => keep(startRegisteringGateway({ server, ...where, token: { scopes: [scope] } }))),
      )
      const load = startLoad({ ports: [one?.port ?? 0, other?.port ?? 0], paths: ['/', '/second'], perSecond: 50 })
      await pause(8000)
      const { failed, answers } = await load.stop()
      expect([failed, answers.length > 250]).toEqual([[], true])
      expect(server.requestsTo('register')).toHaveLength(1)
      // By whichever comes first, each time, and by nobody else.
      expect(server.requestsTo('manage').length).toBeGreaterThanOrEqual(2)
      expect(server.requestsTo('manage').length).toBeLessThanOrEqual(4)
      expect(new Set(server.answersTo('manage'))).toEqual(new Set([200]))
    },
    30_000,
  )

  async function startTwo() {
    const clocks = [createTestClock(), createTestClock()] as const
    const server = await keep(startRegistrationServer(clocks[0]))
    Object.assign(server.manners, manners, { secretLife: 4 * hour })
    const { file } = await keep(createFolder())
    const one = await keep(startRegisteringGateway({ server, file, token: { scopes: ['a'] } }, clocks[0]))
    const other = await keep(startRegisteringGateway({ server, file, token: { scopes: ['b'] } }, clocks[1]))
    expect([await statusOf(one), await statusOf(other)]).toEqual([200, 200])
    return { clocks, server, one, other }
  }

  test('find out by a refusal that the other one has replaced the secret, and no caller does', async () => {
    const { clocks, server, one, other } = await startTwo()
    await clocks[0].advance(3 * hour)
    await vi.waitFor(() => expect(one.log.find({ msg: 'registration changed' })).toHaveLength(1))
    expect(await statusOf(other, '/second')).toBe(200)
    expect(server.answersTo('token').filter((status) => status !== 200)).toEqual([401])
    expect([server.requestsTo('register').length, server.requestsTo('manage').length]).toEqual([1, 1])
  })

  test('wait for the one whose change the server has made, and that has not kept it yet', async () => {
    const { clocks, server, other } = await startTwo()
    server.manners.answersLate = 400
    await clocks[0].advance(3 * hour)
    await vi.waitFor(() => expect(server.answersTo('manage')).toEqual([200]))
    const asked = statusOf(other, '/second')
    await vi.waitFor(() => expect(server.answersTo('token')).toContain(401))
    expect(await asked).toBe(200)
  })

  test('replace it once when its time comes for both', async () => {
    const { clocks, server, one, other } = await startTwo()
    server.manners.delay = 100
    await Promise.all(clocks.map((clock) => clock.advance(3 * hour)))
    const changes = () => [one, other].flatMap(({ log }) => log.find({ msg: 'registration changed' })).length
    await vi.waitFor(() => expect(changes()).toBe(1))
    for (let turn = 0; turn < 10; turn++) {
      await Promise.all(clocks.map((clock) => clock.advance(300)))
      await pause(20)
    }
    expect([await statusOf(one), await statusOf(other)]).toEqual([200, 200])
    expect([server.requestsTo('manage').length, changes()]).toEqual([1, 1])
  })
})

test('the file of two clients that register at once holds both', async () => {
  const server = await keep(startRegistrationServer())
  server.manners.delay = 50
  const { file } = await keep(createFolder())
  const many = Array.from({ length: 2 }, (_, index) =>
    configuration({ server, file }).replaceAll('legacy', `client-${index}`),
  )
  const members = await Promise.all(many.map((yaml) => keep(startGatewayProcess(yaml, env))))
  expect(await statusesOf(members, 1)).toEqual([200])
  await Promise.all(members.map((member) => member.stop('SIGTERM')))
  const again = await Promise.all(many.map((yaml) => keep(startGatewayProcess(yaml, env))))
  expect(await statusesOf(again, 1)).toEqual([200])
  expect(server.requestsTo('register')).toHaveLength(2)
}, 40_000)
