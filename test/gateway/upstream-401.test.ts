import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type AuthorizationServer,
  answerNever,
  answerWith,
  startAuthorizationServer,
} from '../harness/authorization-server.ts'
import { createTestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask } from '../harness/raw-client.ts'
import { startUpstream, type Upstream, type UpstreamHandler } from '../harness/upstream.ts'
import { until } from '../proxy/proxy-server.ts'

const clock = createTestClock(Date.now())
/** What the upstream refuses with. */
let challenge = ''
let sso: AuthorizationServer
let upstream: Upstream
let gateway: RunningGateway

beforeAll(async () => {
  sso = await startAuthorizationServer()
  upstream = await startUpstream()
  const yaml = `
authorization_servers: { sso: { issuer: "${sso.issuer}", allow_http: true } }
clients:
  batch: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
routes:
  - { path: /api/**, callers: { networks: [loopback] }, token: { client: batch }, upstream: "${upstream.url}" }
  - { path: /pass, callers: { networks: [loopback] }, token: { client: batch }, upstream_401: pass, upstream: "${upstream.url}" }
  - path: /own-header
    callers: { networks: [loopback] }
    token: { client: batch, header: X-Api-Token, scheme: none }
    upstream: { url: "${upstream.url}", replay_body: none }
`
  gateway = await startGateway(yaml, { clock, env: { SECRET: sso.client.client_secret } })
})

afterAll(() => Promise.all([gateway.stop(), sso.stop(), upstream.stop()]))

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`
const tokenRequests = () => sso.requestsTo('token').length
const lastToken = () => upstream.requests.at(-1)?.headers.authorization ?? ''

/** The upstream refuses these tokens from now on, and takes every other one. */
function refuse(...tokens: string[]): void {
  upstream.answer(refusal((authorization) => tokens.includes(authorization)))
}

function refusal(refuses: (authorization: string) => boolean): UpstreamHandler {
  return (request, response, seen) =>
    void request.resume().on('end', () => {
      const { authorization = `Bearer ${seen.headers['x-api-token']}` } = seen.headers
      if (refuses(authorization)) response.writeHead(401, { 'www-authenticate': challenge }).end('inner')
      else response.end(`took ${seen.body()}`)
    })
}

/** A token that has gone out, old enough for an upstream's word against it to count. */
async function useToken(): Promise<string> {
  sso.answer('token')
  upstream.answer(refusal(() => false))
  await clock.advance(10_000)
  expect((await ask(gateway.port, get('/api/1'))).status).toBe(200)
  await clock.advance(10_000)
  return lastToken()
}

let token: string
let before: number

beforeEach(async () => {
  challenge = 'Bearer realm="inner"'
  token = await useToken()
  before = tokenRequests()
})

describe('an upstream that refuses the token', () => {
  it('gets the request again with a fresh one, and the caller sees nothing of it but the log tells', async () => {
    refuse(token)
    const seen = upstream.requests.length
    const bytes = 'POST /api/1?a=b HTTP/1.1\r\nHost: localhost\r\nX-Kept: yes\r\nContent-Length: 4\r\n\r\nbody'
    expect(await ask(gateway.port, bytes)).toMatchObject({ status: 200, body: 'took body' })
    expect(tokenRequests()).toBe(before + 1)
    const [first, second] = upstream.requests.slice(seen)
    expect(first?.headers).toMatchObject({ authorization: token, 'x-kept': 'yes', 'content-length': '4' })
    expect(second?.headers).toEqual({ ...first?.headers, authorization: lastToken() })
    expect([second?.url, lastToken() === token]).toEqual(['/api/1?a=b', false])
    expect(gateway.lastLine()).toMatchObject({
      code: 'ok',
      status: 200,
      token: 'fetched',
      replaced: true,
      client: 'batch',
    })
  })

  it('also finds the fresh one in a header of its own', async () => {
    refuse(token)
    expect(await ask(gateway.port, get('/own-header'))).toMatchObject({ status: 200 })
    const headers = upstream.requests.at(-1)?.headers
    expect(`Bearer ${headers?.['x-api-token']}`).not.toBe(token)
    expect(headers).not.toHaveProperty('authorization')
  })

  it('costs one token request when 200 requests are refused at once, and none of them fails', async () => {
    refuse(token)
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(gateway.port, get('/api/1'))))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(tokenRequests()).toBe(before + 1)
  })

  it('is 502 when it refuses the fresh one too, which is then not replaced for 10 s', async () => {
    upstream.answer(refusal(() => true))
    const first = await ask(gateway.port, get('/api/1'))
    expect(gateway.lastLine()).toMatchObject({ reason: 'it refused the new token too', upstream_status: 401 })
    const second = await ask(gateway.port, get('/api/1'))
    expect(gateway.lastLine().reason).toMatch(/^the token was got less than 10 s ago/)
    for (const answer of [first, second]) {
      expect(answer.status).toBe(502)
      expect(JSON.parse(answer.body)).toMatchObject({ code: 'upstream_refused_token' })
      expect(JSON.stringify(answer)).not.toMatch(/inner|www-authenticate/i)
    }
    expect(tokenRequests()).toBe(before + 1)
    expect(gateway.lastLine()).toMatchObject({ code: 'upstream_refused_token', status: 502 })
    expect(gateway.lastLine()).not.toHaveProperty('replaced')
    await clock.advance(10_000)
    expect((await ask(gateway.port, get('/api/1'))).status).toBe(502)
    expect(tokenRequests()).toBe(before + 2)
  })

  it.each([
    ['Bearer error="invalid_token", error_description="expired"', 'invalid_token'],
    ['Basic error=mine, DPoP error=use_dpop_nonce', 'use_dpop_nonce'],
    ['Bearer', undefined],
    ['Bearer error="eyJhbGciOiJub25lIn0"', '[left out]'],
    [`Bearer error=${'a'.repeat(41)}`, '[left out]'],
  ])('says in the log what it refused with: %s', async (given, told) => {
    challenge = given
    upstream.answer(refusal(() => true))
    expect((await ask(gateway.port, get('/api/1'))).status).toBe(502)
    expect(gateway.lastLine().upstream_error).toBe(told)
  })

  it('is 502 for a body whose length nobody knows, and the log says so', async () => {
    refuse(token)
    const chunked = 'POST /api/1 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n'
    expect((await ask(gateway.port, chunked)).status).toBe(502)
    expect(gateway.lastLine().reason).toMatch(/^its body is of unknown length/)
  })

  it('is 502 for a body that is not kept, and the next request has the fresh token already', async () => {
    refuse(token)
    const bytes = 'POST /own-header HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody'
    expect((await ask(gateway.port, bytes)).status).toBe(502)
    expect(gateway.lastLine()).toMatchObject({ upstream_status: 401 })
    expect(gateway.lastLine().reason).toMatch(/^its body of 4 bytes is larger than replay_body/)
    expect((await ask(gateway.port, bytes)).status).toBe(200)
    expect(tokenRequests()).toBe(before + 1)
  })

  it('is 502 when the authorization server has no other token, and the others go on with the old one', async () => {
    refuse(token)
    sso.answer('token', answerWith(503, 'busy'))
    const answer = await ask(gateway.port, get('/api/1'))
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([502, 'upstream_refused_token'])
    expect(gateway.lastLine()).toMatchObject({ reason: 'there is no other token to be had', upstream_status: 401 })
    expect(gateway.lastLine().cause).toMatch(/authorization_server_unavailable|503/)
    await ask(gateway.port, get('/api/1'))
    expect(gateway.lastLine().reason).toMatch(/one was asked for less than 10 s ago$/)
    upstream.answer(refusal(() => false))
    expect((await ask(gateway.port, get('/api/1'))).status).toBe(200)
    expect(lastToken()).toBe(token)
    // The pause after a failure is over by the next test.
    await clock.advance(60_000)
  })

  it('passes its 401 on where the route says so', async () => {
    refuse(token)
    const answer = await ask(gateway.port, get('/pass'))
    expect(answer).toMatchObject({
      status: 401,
      body: 'inner',
      headers: { 'www-authenticate': 'Bearer realm="inner"' },
    })
    expect(tokenRequests()).toBe(before)
    expect(gateway.lastLine()).toMatchObject({ code: 'ok', status: 401, upstream_status: 401 })
  })

  it('lets a caller go that will not wait for the other token', async () => {
    refuse(token)
    sso.answer('token', answerNever)
    const seen = upstream.requests.length
    const socket = connect(gateway.port, '127.0.0.1', () => socket.write(get('/api/gone')))
    await until(() => tokenRequests() === before + 1)
    socket.destroy()
    await until(() => gateway.lastLine().path === '/api/gone')
    expect(gateway.lastLine()).toMatchObject({ status: 499, code: 'caller_gone' })
    expect(upstream.requests).toHaveLength(seen + 1)
  })
})
