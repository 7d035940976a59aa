import { afterEach, expect, it } from 'vitest'
import { createLog } from '../../src/base/log.ts'
import { type AccessToken, createAccessToken } from '../../src/egress/access-token.ts'
import type { TokenCache } from '../../src/egress/token-cache/define.ts'
import { createTokenSource } from '../../src/egress/token-source.ts'
import { answerWith } from '../harness/authorization-server.ts'
import { createTestLog } from '../harness/logs.ts'
import { createSecret } from '../harness/secrets.ts'
import { type Bench, startBench } from './bench.ts'

const second = 1000
let bench: Bench
afterEach(() => bench.stop())

/** A token source of its own, on what processes share as it happens to be. */
async function sourceOn(shared: Partial<TokenCache>) {
  bench = await startBench()
  const cache: TokenCache = {
    source: 'redis',
    ready: async () => {},
    keysOf: (text) => [text],
    get: async () => undefined,
    set: async () => {},
    remove: async () => {},
    acquire: async () => ({ state: 'held', release: async () => {} }),
    settled: async () => {},
    close: async () => {},
    ...shared,
  }
  const options = { refresh_before_expiry: 60 * second, default_expires_in: 300 * second }
  return createTokenSource({ clock: bench.clock, log: createLog(createTestLog()), cache, options, random: () => 0 })
}

const createToken = (obtainedAt: number): AccessToken =>
  createAccessToken(createSecret(), { obtainedAt, life: 300 * second })

it('what another process shares between the look and the lease is taken, and nothing is asked for', async () => {
  let shared: AccessToken | undefined
  const source = await sourceOn({
    get: async () => shared,
    acquire: async () => {
      shared = createToken(bench.clock.now())
      return { state: 'held', release: async () => {} }
    },
  })
  const { token, source: where } = await source.get(bench.request())
  expect([token.id, where, bench.endpoint.requests.length]).toEqual([shared?.id, 'redis', 0])
})

it('what another process obtained before the token that was refused takes its place in no case', async () => {
  let shared: AccessToken | undefined
  const source = await sourceOn({ get: async () => shared })
  const request = bench.request()
  const { token: refused } = await source.get(request)
  shared = createToken(refused.obtainedAt - second)
  await bench.clock.advance(10 * second)
  const successor = await source.replace(request, refused)
  expect([successor?.source, bench.endpoint.requests.length]).toEqual(['fetched', 2])
})

it('a token that is refused again and again is asked for once in ten seconds, also where nothing came of it', async () => {
  const source = await sourceOn({})
  const request = bench.request()
  const { token } = await source.get(request)
  await bench.clock.advance(10 * second)
  bench.endpoint.answer(answerWith(503, 'busy'))
  await expect(source.replace(request, token)).rejects.toMatchObject({ code: 'authorization_server_unavailable' })
  await bench.clock.advance(9 * second)
  expect(await source.replace(request, token)).toBeUndefined()
  expect(bench.endpoint.requests).toHaveLength(2)
  await bench.clock.advance(second)
  bench.issue({ expires_in: 300 })
  expect(await source.replace(request, token)).toMatchObject({ source: 'fetched' })
})

it('a refused token that expired on the way is followed by another one, however young it was', async () => {
  const source = await sourceOn({})
  const request = bench.request()
  bench.issue({ expires_in: 5 })
  const { token } = await source.get(request)
  await bench.clock.advance(4.9 * second)
  bench.issue({ expires_in: 300 })
  const successor = await source.replace(request, token)
  expect(successor?.token.id).not.toBe(token.id)
  expect(successor?.source).toMatch(/fetched|memory/)
})

it('a young token that this process holds no more is not asked for anew with every refusal', async () => {
  const source = await sourceOn({})
  const [request, other] = [bench.request(), bench.request({ route: { scopes: ['other'] } })]
  const { token } = await source.get(request)
  // As if it had been crowded out: of the other request nothing is held.
  expect(await source.replace(other, token)).toBeUndefined()
  expect(bench.endpoint.requests).toHaveLength(1)
})
