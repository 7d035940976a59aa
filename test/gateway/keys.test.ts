import { describe, expect, it, vi } from 'vitest'
import { createTestClock } from '../harness/clock.ts'
import { startGateway } from '../harness/gateway.ts'
import { type KeyServer, startKeyServer } from '../harness/key-server.ts'
import { ask, type RawAnswer } from '../harness/raw-client.ts'
import { createSigningKey, createToken, type Members, type SigningKey } from '../harness/tokens.ts'
import { startUpstream } from '../harness/upstream.ts'
import { parts } from '../ingress/verifier.ts'
import { createKeeper } from '../proxy/keep.ts'

const one = createSigningKey('ES256', 'one')
const two = createSigningKey('ES256', 'two')
const issuers = { sso: 'https://sso.example.test', partner: 'https://login.partner.test' }
const { keep } = createKeeper()

/** A gateway that trusts one server, whose keys are fetched from a key server, and another, whose keys it has. */
async function start(...published: readonly object[]) {
  const clock = createTestClock()
  const keyServer = await keep(startKeyServer('sso', ...published))
  const upstream = await keep(startUpstream())
  const yaml = `
authorization_servers:
  sso: { issuer: "${issuers.sso}", jwks_uri: "${await keyServer.server.endpoint('jwks_uri')}", access_tokens: { audience: any } }
  partner: { issuer: "${issuers.partner}", jwks: '${JSON.stringify({ keys: [one.jwk] })}', access_tokens: { audience: any } }
routes:
  - { path: /any, require: any_token, upstream: "${upstream.url}" }
  - { path: /partner, require: { issuers: [partner] }, upstream: "${upstream.url}" }
  - { path: /public, public: true, upstream: "${upstream.url}" }`
  const gateway = await keep(startGateway(yaml, { clock }))
  const get = (path: string, key: SigningKey, claims: Members = {}): Promise<RawAnswer> => {
    const exp = Math.floor(clock.now() / 1000) + 86_400
    const token = createToken(key, parts({ claims: { iss: issuers.sso, exp, ...claims } }))
    return ask(
      gateway.port,
      `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`,
    )
  }
  return {
    clock,
    keyServer,
    upstream,
    gateway,
    get,
    status: async (...given: Parameters<typeof get>) => (await get(...given)).status,
  }
}

const leavings: Record<string, (old: KeyServer) => void> = {
  'still gives the old ones': () => {},
  'has nothing any more': (old) => old.answer((response) => response.writeHead(404).end()),
}

describe('keys that are fetched', () => {
  it('are not waited for at the start: what needs them is 503, and the rest is served', async () => {
    const { clock, keyServer, upstream, get, status } = await start()
    keyServer.answer((response) => response.destroy())
    await vi.waitFor(async () => expect(await status('/any', one)).toBe(503), { interval: 5 })
    const { headers } = await get('/any', one)
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    expect(headers['www-authenticate']).toBeUndefined()
    expect(upstream.requests).toHaveLength(0)
    expect(await status('/public', one)).toBe(200)
    expect(await status('/partner', one, { iss: issuers.partner })).toBe(200)
    keyServer.publish(one.jwk)
    await clock.advance(10_000)
    await vi.waitFor(async () => expect(await status('/any', one)).toBe(200), { interval: 5 })
  })

  it('serve every good token through an outage of an hour', async () => {
    const { clock, keyServer, status } = await start(one.jwk)
    expect(await status('/any', one)).toBe(200)
    keyServer.answer((response) => response.destroy())
    for (let minute = 0; minute <= 60; minute += 10) {
      expect(await status('/any', one, { jti: `${minute}` })).toBe(200)
      await clock.advance(600_000)
    }
  })

  it('are fetched once per cooldown for a thousand unknown key ids, of which none gets in', async () => {
    const { clock, keyServer, upstream, status } = await start(one.jwk)
    expect(await status('/any', one)).toBe(200)
    await clock.advance(10_000)
    const before = keyServer.requests
    const forger = createSigningKey('ES256', 'x')
    const statuses = new Set<number>()
    for (let batch = 0; batch < 20; batch += 1) {
      const flood = Array.from({ length: 50 }, (_, index) =>
        status('/any', { ...forger, jwk: { ...forger.jwk, kid: `unknown-${batch}-${index}` } }),
      )
      for (const each of await Promise.all(flood)) statuses.add(each)
    }
    expect([...statuses]).toEqual([401])
    expect(keyServer.requests - before).toBe(1)
    expect(upstream.requests).toHaveLength(1)
    expect(await status('/any', one)).toBe(200)
  })

  it('are followed when they change: a new one within a cooldown, and the old one goes with it', async () => {
    const { clock, keyServer, upstream, status } = await start(one.jwk)
    const claims = { exp: Math.floor(clock.now() / 1000) + 86_400 }
    expect(await status('/any', one, claims)).toBe(200)
    keyServer.publish(two.jwk)
    await clock.advance(10_000)
    expect(await status('/any', two, claims)).toBe(200)
    const reached = upstream.requests.length
    expect(await status('/any', one, claims)).toBe(401)
    expect(upstream.requests).toHaveLength(reached)
  })

  it('are followed when one is withdrawn, within the time of a renewal, though nobody asks for another', async () => {
    const { clock, keyServer, upstream, status } = await start(one.jwk, two.jwk)
    const claims = { exp: Math.floor(clock.now() / 1000) + 86_400 }
    expect([await status('/any', one, claims), await status('/any', two, claims)]).toEqual([200, 200])
    keyServer.publish(two.jwk)
    await clock.advance(599_999)
    expect(await status('/any', one, claims)).toBe(200)
    expect(keyServer.requests).toBe(1)
    await clock.advance(1)
    await vi.waitFor(async () => expect(await status('/any', one, claims)).toBe(401), { interval: 5 })
    expect(keyServer.requests).toBe(2)
    const reached = upstream.requests.length
    expect(await status('/any', two, claims)).toBe(200)
    expect(upstream.requests).toHaveLength(reached + 1)
  })

  for (const [what, leave] of Object.entries(leavings))
    it(`are found where the server has moved them, within two cooldowns, if the old place ${what}`, async () => {
      const clock = createTestClock()
      const [old, moved] = [await keep(startKeyServer('sso', one.jwk)), await keep(startKeyServer('sso', two.jwk))]
      let place = await old.server.endpoint('jwks_uri')
      let discoveries = 0
      const sso = await keep(startUpstream())
      sso.answer((_request, response) => {
        discoveries += 1
        response.end(JSON.stringify({ issuer: sso.url, jwks_uri: place }))
      })
      const yaml = `
authorization_servers: { sso: { issuer: "${sso.url}", access_tokens: { audience: any } } }
routes: [{ path: /any, require: any_token, upstream: "${(await keep(startUpstream())).url}" }]`
      const { port } = await keep(startGateway(yaml, { clock }))
      const exp = Math.floor(clock.now() / 1000) + 86_400
      const status = async (key: SigningKey) => {
        const token = createToken(key, parts({ claims: { iss: sso.url, exp } }))
        return (
          await ask(port, `GET /any HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`)
        ).status
      }
      expect(await status(one)).toBe(200)
      place = await moved.server.endpoint('jwks_uri')
      leave(old)
      await clock.advance(10_000)
      expect([401, 503]).toContain(await status(two))
      await clock.advance(10_000)
      await vi.waitFor(async () => expect(await status(two)).toBe(200), { interval: 5 })
      expect(await status(one)).toBe(401)
      expect(discoveries).toBe(2)
    })
})

it('issuers of access_tokens take the place of the issuer of the server, and do not stand beside it', async () => {
  const upstream = await keep(startUpstream())
  const yaml = `
authorization_servers:
  sso: { issuer: "${issuers.sso}", jwks: '${JSON.stringify({ keys: [one.jwk] })}', access_tokens: { audience: any, issuers: ["${issuers.partner}"] } }
routes: [{ path: /any, require: any_token, upstream: "${upstream.url}" }]`
  const { port } = await keep(startGateway(yaml))
  const status = async (iss: string) => {
    const token = createToken(one, parts({ claims: { iss, exp: Math.floor(Date.now() / 1000) + 60, iat: 0 } }))
    const request = `GET /any HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: Bearer ${token}\r\n\r\n`
    return (await ask(port, request)).status
  }
  expect([await status(issuers.partner), await status(issuers.sso)]).toEqual([200, 401])
})

describe('keys that stand in the configuration', () => {
  it('verify the tokens of their own server, and of no other that has a key of the same id', async () => {
    const other = createSigningKey('ES256', 'one')
    const { upstream, gateway, status } = await start(other.jwk)
    expect(await status('/partner', one, { iss: issuers.partner })).toBe(200)
    expect(await status('/any', one, { iss: issuers.partner })).toBe(200)
    expect(await status('/any', other, { iss: issuers.sso })).toBe(200)
    const reached = upstream.requests.length
    expect(await status('/any', one, { iss: issuers.sso })).toBe(401)
    expect(await status('/any', other, { iss: issuers.partner })).toBe(401)
    expect(await status('/partner', other, { iss: issuers.sso })).toBe(401)
    expect(upstream.requests).toHaveLength(reached)
    expect(gateway.log.find({ level: 'error' })).toEqual([])
  })
})
