import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { GatewayError } from '../../src/base/errors.ts'
import { createLineLog, createLog } from '../../src/base/log.ts'
import { logRefusal, logRequest } from '../../src/request-log.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import type { LogEntry } from '../harness/logs.ts'
import { ask, type RawAnswer } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let sso: AuthorizationServer
let upstream: Upstream
let clock: TestClock
let gateway: RunningGateway

beforeAll(async () => {
  sso = await startAuthorizationServer({
    clients: [{ client_id: 'caller-a', client_secret: 'the secret of caller-a' }],
  })
  upstream = await startUpstream()
  clock = createTestClock(Date.now())
  gateway = await startGateway(
    `
listeners: { main: { limits: { headers: 10, body_size: 4B } } }
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } }
clients:
  ours: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
routes:
  - { path: "/swap/**", methods: [POST], require: any_token, token: { client: ours }, upstream: "${upstream.url}" }
  - { name: named, path: /slow, host: "a", public: true, upstream: "${upstream.url}" }
  - { path: /guarded, require: { scopes: [customer.read] }, upstream: "${upstream.url}" }
  - { path: /dead, public: true, upstream: "http://127.0.0.1:1" }
`,
    { env: { SECRET: sso.client.client_secret }, clock },
  )
})
afterAll(() => Promise.all([gateway.stop(), sso.stop(), upstream.stop()]))

/** Asks, and gives back the answer and the line that the request had. */
async function lineOf(head: string, ...headers: string[]): Promise<[line: LogEntry, answer: RawAnswer]> {
  const before = gateway.log.find({ msg: 'request' }).length
  const lines = ['Host: a', ...headers].map((header) => `${header}\r\n`).join('')
  const answer = await ask(gateway.port, `${head} HTTP/1.1\r\n${lines}\r\n`)
  while (gateway.log.find({ msg: 'request' }).length === before) await sleep(5)
  expect(gateway.log.find({ msg: 'request' })).toHaveLength(before + 1)
  return [gateway.lastLine(), answer]
}

/** The ones that stand in every line and are never the same. */
const always = {
  time: expect.any(String),
  request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
  ms: expect.any(Number),
}

describe('the line of a request', () => {
  const jws = `eyJhbGciOiJSUzI1NiJ9.${'a'.repeat(20)}.${'b'.repeat(40)}`
  const jwe = `eyJhbGciOiJSU0EtT0FFUCJ9.${'k'.repeat(20)}.${'i'.repeat(16)}.${'c'.repeat(20)}.${'t'.repeat(22)}`
  it.each([
    ['a signed one', jws],
    ['an encrypted one', jwe],
    ['one whose dots are encoded', jws.replaceAll('.', '%2e')],
    ['one whose beginning is encoded', `%65${jws.slice(1)}`],
  ])('does not hold a token that stands in the path: %s', async (_what, token) => {
    const [line] = await lineOf(`GET /p/${token}/rest%20of/it`)
    expect(line.path).toBe('/p/[token]/rest%20of/it')
    expect(JSON.stringify(line)).not.toContain('b'.repeat(10))
  })

  it('does not hold a token that stands in a token, where something else belongs', async () => {
    const part = (members: object) => Buffer.from(JSON.stringify(members)).toString('base64url')
    const [line] = await lineOf(
      'GET /guarded',
      `Authorization: Bearer ${part({ alg: 'RS256' })}.${part({ iss: jws })}.eA`,
    )
    expect(line.reason).toBe('its issuer is not trusted: "[token]"')
  })

  it('tells all that is known, and of the query nothing', async () => {
    const bearer = `Authorization: Bearer ${await sso.issueToken({ clientId: 'caller-a' })}`
    const expected = {
      ...always,
      level: 'info',
      msg: 'request',
      listener: 'main',
      route: '/swap/** POST',
      method: 'POST',
      path: '/swap/item',
      status: 200,
      code: 'ok',
      address: '127.0.0.1',
      caller: 'caller-a',
      client: 'ours',
      token: 'fetched',
      upstream_status: 200,
    }
    expect((await lineOf('POST /swap/item?key=of-a-customer', bearer))[0]).toEqual(expected)
    expect((await lineOf('POST /swap/item', bearer))[0]).toEqual({ ...expected, token: 'memory' })
  })

  it('tells of a token that the upstream refused and that was replaced', async () => {
    const bearer = `Authorization: Bearer ${await sso.issueToken({ clientId: 'caller-a' })}`
    await lineOf('POST /swap/item', bearer)
    await clock.advance(11_000)
    const refused = upstream.requests.at(-1)?.headers.authorization
    upstream.answer((request, response) =>
      response.writeHead(request.headers.authorization === refused ? 401 : 204).end(),
    )
    expect((await lineOf('POST /swap/item', bearer))[0]).toMatchObject({
      code: 'ok',
      replaced: true,
      token: 'fetched',
      status: 204,
      upstream_status: 204,
    })
  })

  it('tells how long it took, and the name of the route', async () => {
    upstream.answer((_request, response) => void setTimeout(() => response.writeHead(503).end(), 80))
    const askedAt = performance.now()
    const [line] = await lineOf('GET /slow')
    expect(line).toMatchObject({ route: 'named', code: 'ok', status: 503, upstream_status: 503, level: 'info' })
    expect(Number(line.ms)).toBeGreaterThanOrEqual(79)
    expect(Number(line.ms)).toBeLessThanOrEqual(performance.now() - askedAt)
  })

  it('of a refusal says why, under the id that its caller was given', async () => {
    const token = await sso.issueToken({ clientId: 'caller-a', scope: 'country.read' })
    const [line, answer] = await lineOf('GET /guarded?a', `Authorization: Bearer ${token}`)
    expect(line).toEqual({
      ...always,
      level: 'info',
      msg: 'request',
      listener: 'main',
      route: '/guarded',
      method: 'GET',
      path: '/guarded',
      status: 403,
      code: 'insufficient_scope',
      reason: 'the scope lacks customer.read',
      address: '127.0.0.1',
      caller: 'caller-a',
    })
    expect(JSON.parse(answer.body).request_id).toBe(line.request_id)
  })

  it('of a request that has no route has none, and tells its host: it may be the host that is wrong', async () => {
    expect((await lineOf('GET /nowhere'))[0]).toEqual({
      ...always,
      level: 'info',
      msg: 'request',
      listener: 'main',
      method: 'GET',
      path: '/nowhere',
      status: 404,
      code: 'no_route',
      reason: 'the host is a',
      address: '127.0.0.1',
    })
  })

  it.each([
    ['methods', 'PUT /swap/item', [], 'the routes of this path take POST'],
    ['a length of the target', `GET /${'a'.repeat(8192)}`, [], '8193 bytes, where 8192 are accepted'],
    ['a length of the body', 'POST /slow', ['Content-Length: 5'], '5 bytes, where 4 are accepted'],
  ])('tells what would have been accepted: %s', async (_what, head, headers, reason) => {
    expect((await lineOf(head, ...headers))[0].reason).toBe(reason)
  })

  it('has no path where the target is none: a URL may hold a password', async () => {
    const [line] = await lineOf('GET http://somebody:of-somebody@a/slow')
    expect(line).toMatchObject({ code: 'invalid_target', status: 400 })
    expect(line).not.toHaveProperty('path')
  })

  it('has no more than the beginning of a long path', async () => {
    const path = `/${'a'.repeat(3000)}`
    expect((await lineOf(`GET ${path}`))[0].path).toBe(path.slice(0, 2000))
  })

  it('warns of what is nobody’s mistake but ours, and names its cause', async () => {
    const [line] = await lineOf('GET /dead')
    expect(line).toMatchObject({ level: 'warn', status: 502, code: 'upstream_unreachable' })
    expect(line.cause).toMatch(/ECONNREFUSED/)
    expect(line).not.toHaveProperty('frames')
  })

  it('of an error that nobody foresaw is an error, and says where it happened but not what it said', () => {
    const lines: string[] = []
    const error = new GatewayError('internal_error', { cause: new TypeError('quotes what was sent') })
    const request = { requestId: '1', listener: 'main', method: 'GET', target: '/', startedAt: performance.now() }
    logRequest(createLineLog(createLog({ write: (line) => void lines.push(line) })), {
      ...request,
      outcome: { code: 'internal_error', error },
    })
    expect(JSON.parse(lines.join(''))).toMatchObject({
      level: 'error',
      status: 500,
      code: 'internal_error',
      cause: 'TypeError',
      frames: expect.arrayContaining([expect.stringContaining('request-log.test.ts')]),
    })
    expect(lines.join('')).not.toContain('quotes')
  })
})

describe('the line of a connection that was refused before there was a request', () => {
  it('tells the listener, why, and who', async () => {
    const answer = await ask(gateway.port, 'GET /slow\tHTCPCP/1.0\r\n\r\n')
    expect(answer.status).toBe(400)
    expect(gateway.log.find({ msg: 'refused' })).toEqual([
      {
        time: expect.any(String),
        level: 'info',
        msg: 'refused',
        listener: 'main',
        status: 400,
        code: 'malformed_request',
        reason: expect.stringMatching(/^HPE_/),
        address: '127.0.0.1',
      },
    ])
  })

  it('does without what is not known', () => {
    const lines: string[] = []
    logRefusal(
      createLog({ write: (line) => void lines.push(line) }),
      'main',
      new GatewayError('too_many_connections'),
      new Socket(),
    )
    expect(JSON.parse(lines.join(''))).toEqual({
      time: expect.any(String),
      level: 'info',
      msg: 'refused',
      listener: 'main',
      status: 503,
      code: 'too_many_connections',
    })
  })
})
