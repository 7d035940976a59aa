import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { startRedis } from '../harness/redis.ts'
import { registerSecret } from '../harness/secrets.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'
import { createKeeper } from '../proxy/keep.ts'
import { type GatewayProcess, startGatewayProcess } from './gateway-process.ts'
import { type Answered, get, getAtOnce, startLoad } from './load.ts'
import { tokenFault } from './spent-tokens.ts'

const { keep } = createKeeper()

interface Fleet {
  readonly sso: AuthorizationServer
  readonly members: readonly GatewayProcess[]
  /** What was wrong with the tokens that arrived at the upstream. */
  readonly faults: string[]
  tokenRequests(): number
}

/** Four processes that share a Redis. */
async function startFleet(lifetime = 300): Promise<Fleet> {
  const faults: string[] = []
  const redis = await keep(startRedis())
  const sso = await keep(startAuthorizationServer({ lifetime }))
  const upstream: Upstream = await keep(
    startUpstream((_request, response, seen) => {
      const fault = tokenFault(seen, Date.now())
      if (fault) faults.push(fault)
      response.end('welcome')
    }),
  )
  const yaml = `
authorization_servers: { sso: { issuer: "${sso.issuer}" } }
clients: { legacy: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" } }
token_cache: { redis: { url: "${redis.url}", encryption_keys: ["\${env:CACHE_KEY}"] } }
routes: [{ path: /**, callers: { networks: [loopback] }, token: { client: legacy }, upstream: "${upstream.url}" }]
`
  const env = { SECRET: sso.client.client_secret, CACHE_KEY: registerSecret(randomBytes(32).toString('base64url')) }
  const members = await Promise.all(Array.from({ length: 4 }, () => keep(startGatewayProcess(yaml, env))))
  return { sso, members, faults, tokenRequests: () => sso.requestsTo('token').length }
}

const askAll = async (members: readonly GatewayProcess[], callers: number): Promise<Answered[]> =>
  (await Promise.all(members.map(({ port }) => getAtOnce(callers, { port, path: '/' })))).flat()

const statuses = (answers: readonly Answered[]) => [...new Set(answers.map(({ status }) => status))]

describe('four processes on one Redis', () => {
  test('send one token request for all of 800 callers that find them cold, and one again when it is renewed', async () => {
    const { members, faults, tokenRequests } = await startFleet(10)
    const start = Date.now()
    const answers = await askAll(members, 200)
    expect(answers).toHaveLength(800)
    expect(statuses(answers)).toEqual([200])
    expect(tokenRequests()).toBe(1)
    // Half of its life later, and a fifth of that for the jitter, all of them have the next one.
    const load = startLoad({ ports: members.map(({ port }) => port), paths: ['/'], perSecond: 100 })
    await pause(4500 - (Date.now() - start))
    expect(tokenRequests()).toBe(1)
    await pause(8000 - (Date.now() - start))
    const { failed } = await load.stop()
    expect(failed).toEqual([])
    expect(tokenRequests()).toBe(2)
    expect(faults).toEqual([])
    for (const { program } of members)
      expect(program.lines().filter(({ level }) => level === 'warn' || level === 'error')).toEqual([])
  })

  test('wait for one of them as long as it lives, and lose no caller when it is killed in the middle', async () => {
    const { sso, members, faults, tokenRequests } = await startFleet()
    const [holder, ...others] = members
    if (!holder) return expect.unreachable('nobody was started')
    sso.hold('token')
    const lost = getAtOnce(5, { port: holder.port, path: '/' })
    await expect.poll(tokenRequests, { interval: 5 }).toBe(1)
    const waiting = askAll(others, 200)
    // Longer than the lease by itself: it is extended.
    await pause(2600)
    expect(tokenRequests()).toBe(1)
    sso.answer('token')
    const killedAt = performance.now()
    await holder.stop('SIGKILL')
    const answers = await waiting
    const waited = performance.now() - killedAt
    expect(answers).toHaveLength(600)
    expect(statuses(answers)).toEqual([200])
    // The lease of 2 s, and what it takes to fetch one and to answer 600.
    expect(waited).toBeLessThan(3500)
    expect(waited).toBeGreaterThan(1000)
    expect(tokenRequests()).toBe(2)
    expect(statuses(await lost)).toEqual([0])
    expect(faults).toEqual([])
  })

  test('go on without a wait when the one that fetches is stopped in an orderly way', async () => {
    const { sso, members, tokenRequests } = await startFleet()
    const [holder, other] = members
    if (!holder || !other) return expect.unreachable('nobody was started')
    const answerHeld = sso.hold('token')
    const first = getAtOnce(5, { port: holder.port, path: '/' })
    await expect.poll(tokenRequests, { interval: 5 }).toBe(1)
    const second = getAtOnce(5, { port: other.port, path: '/' })
    await pause(300)
    const stopped = holder.stop('SIGTERM')
    answerHeld()
    expect(statuses(await first)).toEqual([200])
    const answers = await second
    expect(statuses(answers)).toEqual([200])
    expect(tokenRequests()).toBe(1)
    await stopped
    expect((await get({ port: other.port, path: '/' })).status).toBe(200)
  })
})
