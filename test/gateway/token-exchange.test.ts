import { once } from 'node:events'
import { connect } from 'node:net'
import { decodeJwt } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type AuthorizationServer, answerWith, startAuthorizationServer } from '../harness/authorization-server.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { moreGrants } from '../harness/more-grants.ts'
import { createSecret } from '../harness/secrets.ts'
import { headerValues } from '../harness/seen-request.ts'
import { createSigningKey } from '../harness/tokens.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

const second = 1000
const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const secret = createSecret()
let sso: AuthorizationServer
let upstream: Upstream
let clock: TestClock
let gateway: RunningGateway

beforeAll(async () => {
  sso = await startAuthorizationServer({
    clients: [{ client_id: 'gateway', client_secret: secret, grant_types: [exchangeGrant, 'client_credentials'] }],
    ...moreGrants(),
  })
  upstream = await startUpstream()
})
beforeEach(async () => {
  await gateway?.stop()
  sso.answer('token')
  upstream.answer((request, response) => void request.resume().on('end', () => response.end('{}')))
  clock = createTestClock(Date.now())
  const token = '{ client: gateway, exchange: subject_token'
  const yaml = `
authorization_servers:
  sso: { issuer: "${sso.issuer}", keys: { refresh: 1m }, access_tokens: { audience: "https://api.example.test", clock_tolerance: 5s } }
clients:
  gateway: { authorization_server: sso, client_id: gateway, client_secret: "\${env:SECRET}" }
routes:
  - { path: /orders, require: any_token, token: ${token}, audience: "https://orders.example.test", scopes: [country.read] }, upstream: "${upstream.url}" }
  - { path: /stock, require: any_token, token: ${token} }, upstream: "${upstream.url}" }
  - { path: /own, require: any_token, token: { client: gateway }, upstream: "${upstream.url}" }
  - { path: /passed, require: any_token, token: ${token} }, upstream_401: pass, upstream: "${upstream.url}" }
`
  gateway = await startGateway(yaml, { env: { SECRET: secret }, clock })
})
afterAll(() => Promise.all([gateway.stop(), sso.stop(), upstream.stop()]))

const now = () => Math.floor(clock.now() / second)
const tokenOf = (sub: string, claims: object = {}) => sso.signToken({ sub, iat: now(), exp: now() + 300, ...claims })
const call = (path: string, token: string, init: RequestInit = {}) =>
  fetch(gateway.url + path, { ...init, headers: { authorization: `Bearer ${token}` } })
const lastSeen = () => upstream.requests.at(-1) ?? expect.unreachable('nothing reached the upstream')
const sent = () => {
  const [authorization, ...others] = headerValues(lastSeen(), 'authorization')
  expect(others).toEqual([])
  return authorization?.replace('Bearer ', '') ?? ''
}
const asked = () => sso.requestsTo('token').length
const lastForm = () => Object.fromEntries(new URLSearchParams(sso.requestsTo('token').at(-1)?.body().toString()))

describe('the token of a caller', () => {
  it('is exchanged for one that is meant for the upstream, and goes no further', async () => {
    const token = await tokenOf('alice')
    expect((await call('/orders', token)).status).toBe(200)
    expect(decodeJwt(sent())).toMatchObject({ on_behalf_of: 'alice', aud: 'https://orders.example.test' })
    expect(lastForm()).toEqual({
      grant_type: exchangeGrant,
      subject_token: token,
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      scope: 'country.read',
      audience: 'https://orders.example.test',
    })
    expect(JSON.stringify(lastSeen().rawHeaders)).not.toContain(token)
    expect(gateway.lastLine()).toMatchObject({ code: 'ok', client: 'gateway', token: 'fetched' })
  })

  it('is exchanged once, and what came for it is kept for this caller alone', async () => {
    const [alice, bob] = [await tokenOf('alice'), await tokenOf('bob')]
    const before = asked()
    for (const token of [alice, bob, alice, bob, alice]) {
      await call('/orders', token)
      expect(decodeJwt(sent()).on_behalf_of).toBe(token === alice ? 'alice' : 'bob')
    }
    expect(asked()).toBe(before + 2)
    expect(gateway.lastLine().token).toBe('memory')
  })

  it('is exchanged once, however many of its requests come at once', async () => {
    const token = await tokenOf('alice')
    const before = asked()
    await Promise.all(Array.from({ length: 40 }, () => call('/orders', token)))
    expect(asked()).toBe(before + 1)
  })

  it('never goes out for another caller, however many come at once', async () => {
    const callers = await Promise.all(Array.from({ length: 12 }, (_, index) => tokenOf(`caller-${index}`)))
    const before = upstream.requests.length
    const visits = Array.from({ length: 120 }, (_, index) => index % callers.length)
    await Promise.all(
      visits.map((index) =>
        fetch(`${gateway.url}/orders`, {
          headers: { authorization: `Bearer ${callers[index]}`, 'x-visitor': `caller-${index}` },
        }),
      ),
    )
    const arrived = upstream.requests.slice(before).map(({ headers }) => ({
      came: headers['x-visitor'],
      sent: decodeJwt(headers.authorization?.replace('Bearer ', '') ?? '').on_behalf_of,
    }))
    expect(arrived).toHaveLength(visits.length)
    expect(arrived.filter(({ came, sent }) => came !== sent)).toEqual([])
  })

  it('is exchanged for another one for each upstream that wants another one', async () => {
    const token = await tokenOf('alice')
    await call('/orders', token)
    await call('/stock', token)
    expect(decodeJwt(sent()).aud).toBe('https://api.example.test')
  })

  it('is nothing that another route’s token has to do with', async () => {
    await call('/own', await tokenOf('alice'))
    expect(decodeJwt(sent()).on_behalf_of).toBeUndefined()
    expect(lastForm().grant_type).toBe('client_credentials')
  })

  it('that is refused here is shown to nobody', async () => {
    const before = asked()
    const answers = [await call('/orders', await tokenOf('alice', { exp: now() - 60 })), await call('/orders', 'abc')]
    expect(answers.map(({ status }) => status)).toEqual([401, 401])
    expect(asked()).toBe(before)
  })
})

describe('what came for a token', () => {
  it('goes out as long as that token is good, and not a moment longer', async () => {
    const token = await tokenOf('alice', { exp: now() + 100 })
    const other = await tokenOf('bob')
    await Promise.all([call('/orders', token), call('/orders', other)])
    await clock.advance(94 * second)
    await call('/orders', token)
    expect(gateway.lastLine().token).toBe('memory')
    await clock.advance(12 * second)
    const before = upstream.requests.length
    expect((await call('/orders', token)).status).toBe(401)
    expect(upstream.requests).toHaveLength(before)
    await call('/orders', other)
    expect(gateway.lastLine().token).toBe('memory')
  })

  it('goes out no more once the key of that token is withdrawn', async () => {
    const token = await tokenOf('alice')
    await call('/orders', token)
    sso.answer('jwks', answerWith(200, { keys: [createSigningKey('RS256', 'another').jwk] }))
    await clock.advance(61 * second)
    await vi.waitFor(async () => expect((await call('/orders', token)).status).toBe(401))
    const before = upstream.requests.length
    expect((await call('/orders', token)).status).toBe(401)
    sso.answer('jwks')
    expect(upstream.requests).toHaveLength(before)
  })

  it('is not renewed where its successor would last no longer', async () => {
    const token = await tokenOf('alice', { exp: now() + 100 })
    await call('/orders', token)
    const before = asked()
    for (let at = 0; at < 9; at++) {
      await clock.advance(10 * second)
      await call('/orders', token)
    }
    expect(asked()).toBe(before)
  })

  it('goes no more to an upstream while its caller takes its time with the body: 401', async () => {
    const token = await tokenOf('alice', { exp: now() + 30 })
    const before = upstream.requests.length
    const socket = connect(gateway.port, '127.0.0.1')
    const answer = once(socket, 'data').then(([data]) => String(data).split('\r\n', 1)[0])
    const asking = asked()
    socket.write(
      `POST /orders HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Length: 2\r\n\r\nh`,
    )
    await vi.waitFor(() => expect(asked()).toBe(asking + 1))
    await clock.advance(36 * second)
    socket.write('i')
    expect(await answer).toBe('HTTP/1.1 401 Unauthorized')
    socket.destroy()
    expect([upstream.requests.length, asked()]).toEqual([before, asking + 1])
  })

  it('is replaced where the upstream refuses it, for its caller alone', async () => {
    const [alice, bob] = [await tokenOf('alice'), await tokenOf('bob')]
    await Promise.all([call('/orders', alice), call('/orders', bob)])
    await call('/orders', bob)
    const ofBob = sent()
    await call('/orders', alice)
    const refused = sent()
    await clock.advance(10 * second)
    upstream.answer((request, response) => {
      request.resume()
      response.writeHead(request.headers.authorization === `Bearer ${refused}` ? 401 : 200).end()
    })
    const before = asked()
    expect((await call('/orders', alice)).status).toBe(200)
    expect([asked(), decodeJwt(sent()).on_behalf_of]).toEqual([before + 1, 'alice'])
    expect(sent()).not.toBe(refused)
    await call('/orders', bob)
    expect([asked(), sent()]).toEqual([before + 1, ofBob])
  })

  it('passes an upstream’s refusal to its caller, if the route says so', async () => {
    upstream.answer((_request, response) => response.writeHead(401).end())
    expect((await call('/passed', await tokenOf('alice'))).status).toBe(401)
  })
})

describe('a caller whose token is not taken in exchange', () => {
  it('that was withdrawn is told to get another one: 401, and the others get through', async () => {
    const before = upstream.requests.length
    const answer = await call('/orders', await tokenOf('mallory', { withdrawn: true }))
    expect([answer.status, Object(await answer.json()).code]).toEqual([401, 'invalid_token'])
    expect(answer.headers.get('www-authenticate')).toContain('error="invalid_token"')
    expect(upstream.requests).toHaveLength(before)
    expect(gateway.lastLine().reason).toMatch(
      /^it is not taken in exchange: the token endpoint answered 400: invalid_grant/,
    )
    expect((await call('/orders', await tokenOf('alice'))).status).toBe(200)
  })

  it('for what may be the gateway’s own fault is told nothing: 502, and nothing goes out', async () => {
    sso.answer('token', answerWith(400, { error: 'invalid_request' }))
    const before = upstream.requests.length
    const answer = await call('/orders', await tokenOf('alice'))
    expect([answer.status, Object(await answer.json()).code]).toEqual([502, 'authorization_server_refused'])
    expect(upstream.requests).toHaveLength(before)
  })

  it.each([
    ['no issued_token_type', { token_type: 'Bearer' }],
    ['another issued_token_type', { token_type: 'Bearer', issued_token_type: 'urn:ietf:params:oauth:token-type:jwt' }],
    ['N_A', { token_type: 'N_A', issued_token_type: 'urn:ietf:params:oauth:token-type:access_token' }],
  ])('gets 502 where what came is no access token: %s', async (_what, fields) => {
    const body = { access_token: createSecret(), expires_in: 300, ...fields }
    sso.answer('token', answerWith(200, body))
    const before = upstream.requests.length
    const answer = await call('/orders', await tokenOf('alice'))
    expect([answer.status, Object(await answer.json()).code]).toEqual([502, 'authorization_server_invalid_response'])
    expect(upstream.requests).toHaveLength(before)
  })

  it('whose token a server quotes finds nothing of it in the log', async () => {
    const token = await tokenOf('alice')
    // In pieces too short to look like a token.
    const pieces = token.slice(-120).match(/.{12}/g) ?? []
    sso.answer('token', answerWith(400, { error: 'invalid_request', error_description: pieces.join(' ') }))
    await call('/orders', token)
    expect(pieces.filter((piece) => gateway.log.text().includes(piece))).toEqual([])
    expect(gateway.lastLine().reason).toContain('400: invalid_request')
  })
})
