import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import type { LogEntry } from '../harness/logs.ts'
import { ask, type RawAnswer } from '../harness/raw-client.ts'
import type { SeenRequest } from '../harness/seen-request.ts'
import { createSigningKey, createToken } from '../harness/tokens.ts'
import { type RawUpstream, startRawUpstream, startUpstream, type Upstream } from '../harness/upstream.ts'
import { openConnection, socketAnswer, socketRequest } from '../harness/web-socket.ts'

let sso: AuthorizationServer
let upstream: Upstream
/** Takes connections, and never answers. */
let silent: RawUpstream
/** Answers every request with a WebSocket. */
let switching: RawUpstream
let clock: TestClock
let gateway: RunningGateway

const hour = 3_600_000

beforeAll(async () => {
  sso = await startAuthorizationServer({
    clients: [{ client_id: 'caller-a', client_secret: 'the secret of caller-a' }],
  })
  upstream = await startUpstream()
  silent = await startRawUpstream(() => undefined)
  switching = await startRawUpstream(socketAnswer())
})
afterAll(() => Promise.all([sso.stop(), upstream.stop(), silent.stop(), switching.stop()]))

beforeEach(async () => {
  clock = createTestClock(Date.now())
  const until = new Date(clock.now() + hour).toISOString()
  const report = `mode: report, until: "${until}"`
  const to = `upstream: "${upstream.url}"`
  gateway = await startGateway(
    `
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } }
  gone: { issuer: "http://127.0.0.1:1", jwks_uri: "http://127.0.0.1:1/keys", access_tokens: { audience: any } }
  slow: { issuer: "http://127.0.0.1:2", jwks_uri: "${silent.url}/keys", access_tokens: { audience: any } }
identity_headers: { X-Client-Id: client_id }
routes:
  - { path: "/trial/**", methods: [GET], require: { scopes: [customer.read, customer.write], issuers: [sso] }, ${report}, ${to} }
  - { path: /trial/inner, require: { scopes: [customer.read, customer.write], issuers: [sso] }, ${to} }
  - { path: /any, require: { any_scope: [a, customer.write] }, ${report}, ${to} }
  - { path: /claim, require: { claims: { role: [archivist] } }, ${report}, ${to} }
  - { path: /network, callers: { networks: [10.0.0.0/8] }, ${report}, ${to} }
  - { path: /both, callers: { networks: [10.0.0.0/8] }, require: { scopes: [customer.write] }, ${report}, ${to} }
  - { path: /bare, require: any_token, forward_authorization: false, ${report}, ${to} }
  - { path: /dead, require: any_token, ${report}, upstream: "http://127.0.0.1:1" }
  - { path: /gone, require: { issuers: [gone] }, ${report}, ${to} }
  - { path: /slow, require: { issuers: [slow] }, ${report}, ${to} }
  - { path: /socket, require: any_token, ${report}, upstream: "${switching.url}" }
  - { path: /strict, mode: enforce, require: { scopes: [customer.write] }, ${to} }
`,
    { clock },
  )
  return () => gateway.stop()
})

interface Exchange {
  readonly answer: RawAnswer
  /** What reached the upstream. */
  readonly seen: readonly SeenRequest[]
  readonly line: LogEntry
}

async function send(head: string, ...headers: string[]): Promise<Exchange> {
  const [before, logged] = [upstream.requests.length, gateway.log.find({ msg: 'request' }).length]
  const lines = ['Host: a', ...headers].map((header) => `${header}\r\n`).join('')
  const answer = await ask(gateway.port, `${head} HTTP/1.1\r\n${lines}\r\n`)
  await expect.poll(() => gateway.log.find({ msg: 'request' })).toHaveLength(logged + 1)
  return { answer, seen: upstream.requests.slice(before), line: gateway.lastLine() }
}

async function bearer(scope?: string): Promise<string> {
  return `Authorization: Bearer ${await sso.issueToken({ clientId: 'caller-a', ...(scope !== undefined && { scope }) })}`
}

/** Of a server whose keys cannot be had. */
function foreignToken(iss: string): string {
  const claims = { iss, aud: 'x', exp: clock.now() / 1000 + 60 }
  return `Authorization: Bearer ${createToken(createSigningKey('ES256'), { header: {}, claims })}`
}

const refused = (status: number, code: string, reason: string) => ({ status, code, reason })

describe('a route in report mode', () => {
  it('lets a caller in who has no token, and says how it would have been refused', async () => {
    const { answer, seen, line } = await send('GET /trial/item?q=1')
    expect([answer.status, seen.map(({ url }) => url)]).toEqual([200, ['/trial/item?q=1']])
    expect(line).toMatchObject({
      level: 'info',
      route: '/trial/** GET',
      status: 200,
      code: 'ok',
      mode: 'report',
      address: '127.0.0.1',
      required_scopes: ['customer.read', 'customer.write'],
      would_be: refused(401, 'token_required', 'there is no bearer token in the Authorization header'),
    })
    expect(line).not.toHaveProperty('scopes')
    expect(line).not.toHaveProperty('reason')
  })

  it('tells the scopes of a token that lacks one, and whose token it is', async () => {
    const { answer, seen, line } = await send('GET /trial/item', await bearer('customer.read country.read'))
    expect([answer.status, seen.length]).toEqual([200, 1])
    expect(line).toMatchObject({
      caller: 'caller-a',
      scopes: ['customer.read', 'country.read'],
      required_scopes: ['customer.read', 'customer.write'],
      would_be: refused(403, 'insufficient_scope', 'the scope lacks customer.write'),
    })
  })

  it('has nothing to report of a caller who would have been let in', async () => {
    const { seen, line } = await send('GET /trial/item', await bearer('customer.read customer.write'))
    expect(seen).toHaveLength(1)
    expect(line).toMatchObject({ mode: 'report', scopes: ['customer.read', 'customer.write'], caller: 'caller-a' })
    expect(line.would_be).toBeNull()
  })

  it('keeps nobody waiting for an authorization server that says nothing', async () => {
    const before = clock.pendingTimers()
    const sent = send('GET /slow', foreignToken('http://127.0.0.1:2'))
    await expect.poll(() => clock.pendingTimers()).toBeGreaterThan(before)
    await clock.advance(250)
    const { answer, seen, line } = await sent
    expect([answer.status, seen.length]).toEqual([200, 1])
    expect(line.would_be).toMatchObject(refused(503, 'keys_unavailable', 'it could not be decided within 250 ms'))
  })

  it('ends the WebSocket of whoever it let in, once it enforces', async () => {
    const connection = openConnection(gateway.port, socketRequest('/socket'))
    await connection.until((received) => received.startsWith('HTTP/1.1 101'))
    await clock.advance(hour - 1)
    expect(connection.socket.destroyed).toBe(false)
    await clock.advance(1)
    await connection.closed
    expect(gateway.log.find({ msg: 'upgrade ended' })).toMatchObject([{ route: '/socket', reason: 'token_expired' }])
  })

  it.each([
    ['/any', 'customer.read', refused(403, 'insufficient_scope', 'the scope has none of a customer.write')],
    ['/claim', 'customer.read', refused(403, 'claim_required', 'the claim role holds none of the required values')],
    ['/network', undefined, refused(403, 'caller_not_allowed', 'the address of the caller is in none of the networks')],
  ])('reports whatever decides who may come in: %s', async (path, scope, wouldBe) => {
    const { answer, seen, line } = await send(`GET ${path}`, ...(scope === undefined ? [] : [await bearer(scope)]))
    expect([answer.status, seen.length]).toEqual([200, 1])
    expect(line.would_be).toMatchObject(wouldBe)
  })

  it('reports a token that is no token, and one that stands in the query too', async () => {
    const bad = await send('GET /trial/item', 'Authorization: Bearer abc')
    expect([bad.answer.status, bad.line.would_be]).toEqual([200, expect.objectContaining({ code: 'invalid_token' })])
    const twice = await send('GET /trial/item?access_token=x', await bearer())
    expect([twice.answer.status, twice.line.would_be]).toEqual([
      200,
      expect.objectContaining({ status: 400, code: 'invalid_request' }),
    ])
  })

  it('lets callers in while the keys are not there, and reports that nothing could be decided', async () => {
    const { answer, line } = await send('GET /gone', foreignToken('http://127.0.0.1:1'))
    expect([answer.status, line.would_be]).toMatchObject([200, { status: 503, code: 'keys_unavailable' }])
  })

  it('sends nothing on for a caller who has gone before it was decided', async () => {
    const before = upstream.requests.length
    const socket = connect(gateway.port, '127.0.0.1')
    socket.write(`GET /slow HTTP/1.1\r\nHost: a\r\n${foreignToken('http://127.0.0.1:2')}\r\n\r\n`)
    await expect.poll(() => silent.connections.length).toBeGreaterThan(0)
    await expect.poll(async () => /in_flight 1$/m.test(await gateway.gateway.metrics())).toBe(true)
    socket.destroy()
    await expect.poll(() => gateway.log.find({ route: '/slow', code: 'caller_gone' })).toHaveLength(1)
    expect(upstream.requests).toHaveLength(before)
  })

  it('looks at the token of a caller whose address would not do', async () => {
    const { seen, line } = await send('GET /both', await bearer('customer.read'))
    expect(seen).toHaveLength(1)
    expect(line).toMatchObject({
      caller: 'caller-a',
      scopes: ['customer.read'],
      would_be: { code: 'caller_not_allowed' },
    })
  })

  it('says who calls only where the caller would have been let in', async () => {
    const forged = 'X-Client-Id: forged'
    const told = async (...headers: string[]) =>
      (await send('GET /trial/item', forged, 'x_client_id: forged', ...headers)).seen.map(
        ({ headers: { 'x-client-id': id, x_client_id: folded } }) => [id, folded],
      )
    expect(await told()).toEqual([[undefined, undefined]])
    expect(await told('Authorization: Bearer abc')).toEqual([[undefined, undefined]])
    expect(await told(await bearer('customer.read'))).toEqual([[undefined, undefined]])
    expect(await told(await bearer('customer.read customer.write'))).toEqual([['caller-a', undefined]])
    const outside = await send('GET /both', forged, await bearer('customer.write'))
    expect(outside.seen.map(({ headers }) => headers['x-client-id'])).toEqual([undefined])
  })

  it('passes Authorization on, or not, as it does when it enforces', async () => {
    const passed = await send('GET /trial/item', 'Authorization: Basic Zm9v')
    expect(passed.seen.map(({ headers }) => headers.authorization)).toEqual(['Basic Zm9v'])
    const bare = await send('GET /bare', 'Authorization: Basic Zm9v')
    expect(bare.seen.map(({ headers }) => headers.authorization)).toEqual([undefined])
  })

  it.each([
    ['GET /trial//inner', 400, 'ambiguous_target'],
    ['GET /trial/INNER', 400, 'ambiguous_target'],
    ['GET /trial/x/../y', 400, 'invalid_target'],
    ['POST /trial/item', 405, 'method_not_allowed'],
    ['GET /elsewhere', 404, 'no_route'],
  ])('refuses what is no question of who may come in: %s', async (head, status, code) => {
    const { answer, seen, line } = await send(head, await bearer('customer.read customer.write'))
    expect([answer.status, seen.length, line.code]).toEqual([status, 0, code])
    expect(line).not.toHaveProperty('would_be')
  })

  it.each([
    ['two lengths', 'Content-Length: 1', 'Transfer-Encoding: chunked'],
    ['two Authorization headers', 'Authorization: Bearer a', 'Authorization: Bearer b'],
  ])('refuses %s', async (_what, ...headers) => {
    const before = upstream.requests.length
    const answer = await ask(gateway.port, `GET /trial/item HTTP/1.1\r\nHost: a\r\n${headers.join('\r\n')}\r\n\r\n`)
    expect([answer.status, upstream.requests.length]).toEqual([400, before])
  })

  it('has no influence on its neighbours', async () => {
    const { answer, seen, line } = await send('GET /strict')
    expect([answer.status, seen.length]).toEqual([401, 0])
    expect(line).not.toHaveProperty('mode')
    expect((await send('GET /strict', await bearer('customer.write'))).line).not.toHaveProperty('scopes')
  })

  it('reports what would have been refused beside what went wrong later', async () => {
    const { answer, line } = await send('GET /dead')
    expect(answer.status).toBe(502)
    expect(line).toMatchObject({ code: 'upstream_unreachable', mode: 'report', would_be: { code: 'token_required' } })
  })

  it('enforces from its date on, without a restart', async () => {
    await clock.advance(hour - 1)
    expect((await send('GET /trial/item')).answer.status).toBe(200)
    await clock.advance(1)
    const { answer, seen, line } = await send('GET /trial/item')
    expect([answer.status, seen.length]).toEqual([401, 0])
    expect(line).toMatchObject({ code: 'token_required' })
    expect(line).not.toHaveProperty('mode')
    expect((await send('GET /network')).answer.status).toBe(403)
  })

  it('is said at the start, once for each such route', () => {
    const said = gateway.log.find({ msg: 'report mode' })
    expect(said).toHaveLength(10)
    expect(said[0]).toMatchObject({
      level: 'warn',
      listener: 'main',
      route: '/trial/** GET',
      until: new Date(clock.now() + hour).toISOString(),
    })
  })
})
