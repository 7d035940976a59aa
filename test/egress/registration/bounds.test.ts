import { writeFileSync } from 'node:fs'
import { describe, expect, test, vi } from 'vitest'
import { type Answer, answerBroken, answerWith } from '../../harness/authorization-server.ts'
import { createTestClock } from '../../harness/clock.ts'
import { createSecret } from '../../harness/secrets.ts'
import { createKeeper } from '../../proxy/keep.ts'
import { createFolder, startRegisteringGateway, statusOf } from './registering-gateway.ts'
import { startRegistrationServer } from './registration-server.ts'

const { keep } = createKeeper()
const minute = 60_000

async function start(answer?: Answer) {
  const clock = createTestClock()
  const server = await keep(startRegistrationServer(clock))
  server.manners.answer = answer
  // No token is renewed while a test turns the clock: it would have expired before it came. `/second` needs another one.
  server.lifetime = 2 * 60 * 60
  const { file } = await keep(createFolder())
  const gateway = await keep(startRegisteringGateway({ server, file }, clock))
  return { clock, server, file, gateway, registrations: () => server.requestsTo('register').length }
}

describe('a server that knows its client no more', () => {
  test('has it registered anew, and the request that found out is answered', async () => {
    const { clock, server, gateway, registrations } = await start()
    expect(await statusOf(gateway)).toBe(200)
    await clock.advance(60 * minute)
    server.clients.clear()
    expect(await statusOf(gateway, '/second')).toBe(200)
    expect(registrations()).toBe(2)
  })

  test('and forgets it again and again gets no more than one registration an hour', async () => {
    const { clock, server, gateway, registrations } = await start()
    server.lifetime = 300
    const statuses = new Set<number>()
    for (let step = 0; step < 180; step++) {
      server.clients.clear()
      statuses.add(await statusOf(gateway))
      await clock.advance(minute)
    }
    expect(registrations()).toBe(3)
    expect([...statuses].sort()).toEqual([200, 502])
    expect(server.requestsTo('token').length).toBeLessThan(200)
  })

  test('and whose hour is not over is no reason for another process to register either', async () => {
    const { clock, server, file, gateway, registrations } = await start()
    expect(await statusOf(gateway)).toBe(200)
    server.clients.clear()
    const other = await keep(startRegisteringGateway({ server, file }, clock))
    expect([await statusOf(other), registrations()]).toEqual([502, 1])
  })
})

test('an answer of no use to a second registration leaves the first one as it was', async () => {
  const { clock, server, file, gateway, registrations } = await start()
  expect(await statusOf(gateway)).toBe(200)
  await clock.advance(60 * minute)
  const clients = [...server.clients]
  server.clients.clear()
  server.manners.answer = answerWith(200, {})
  expect(await statusOf(gateway, '/second')).toBe(502)
  for (const [id, client] of clients) server.clients.set(id, client)
  await clock.advance(minute)
  const other = await keep(startRegisteringGateway({ server, file }, clock))
  expect([await statusOf(gateway, '/second'), await statusOf(other), registrations()]).toEqual([200, 200, 2])
})

test('what is taken away from where it is kept is not registered again by the same process within the hour', async () => {
  const { clock, server, file, gateway, registrations } = await start()
  expect(await statusOf(gateway)).toBe(200)
  writeFileSync(file, '{}')
  server.clients.clear()
  await clock.advance(59 * minute)
  expect([await statusOf(gateway, '/second'), registrations()]).toEqual([502, 1])
  await clock.advance(minute)
  expect([await statusOf(gateway, '/second'), registrations()]).toEqual([200, 2])
})

describe('a server that does not register the client', () => {
  test.each([
    ['is away', answerBroken, 503, 'authorization_server_unavailable'],
    ['is busy', answerWith(503, 'busy'), 503, 'authorization_server_unavailable'],
    ['refuses', answerWith(400, { error: 'invalid_client_metadata' }), 502, 'authorization_server_refused'],
    ['wants another initial access token', answerWith(401, ''), 502, 'authorization_server_refused'],
    ['shows a page', answerWith(404, '<h1>nothing here</h1>'), 502, 'authorization_server_invalid_response'],
  ])(
    'because it %s does not keep the gateway from starting, and is asked after a pause',
    async (_, answer, status, code) => {
      const { clock, server, gateway } = await start(answer)
      await vi.waitFor(() => expect(gateway.log.find({ msg: 'client not registered' })).toHaveLength(1))
      expect([await statusOf(gateway), await statusOf(gateway)]).toEqual([status, status])
      expect(gateway.lastLine()).toMatchObject({ code })
      expect(server.requestsTo('register')).toHaveLength(1)
      server.manners.answer = undefined
      await clock.advance(1000)
      expect(await statusOf(gateway)).toBe(200)
      expect(server.requestsTo('register')).toHaveLength(2)
    },
  )

  test.each([
    ['no JSON', '<p>registered</p>'],
    ['no client_id', { client_secret: createSecret() }],
    ['a client_id that is no text', { client_id: 5 }],
  ])('but says that it has, with %s, is not asked again within the hour, by whichever process', async (_, body) => {
    const { clock, server, file, gateway, registrations } = await start(answerWith(201, body))
    expect(await statusOf(gateway)).toBe(502)
    await clock.advance(59 * minute)
    const other = await keep(startRegisteringGateway({ server, file }, clock))
    expect([await statusOf(gateway), await statusOf(other), registrations()]).toEqual([502, 502, 1])
    server.manners.answer = undefined
    await clock.advance(minute)
    expect([await statusOf(gateway), await statusOf(other), registrations()]).toEqual([200, 200, 2])
  })
})
