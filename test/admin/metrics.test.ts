import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMetrics } from '../../src/admin/metrics.ts'
import { processMetrics } from '../../src/admin/process-metrics.ts'
import { version } from '../../src/base/version.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask, sendRaw } from '../harness/raw-client.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let sso: AuthorizationServer
let upstream: Upstream
let clock: TestClock
let gateway: RunningGateway
let until: number

beforeAll(async () => {
  sso = await startAuthorizationServer()
  upstream = await startUpstream()
  clock = createTestClock(Date.now())
  until = Math.ceil(clock.now() / 1000) + 3600
  gateway = await startGateway(
    `
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } }
clients:
  ours: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
routes:
  - { path: "/open/**", public: true, upstream: "${upstream.url}" }
  - { path: /guarded, require: { scopes: [customer.read] }, upstream: "${upstream.url}" }
  - { path: /trial, require: any_token, mode: report, until: "${new Date(until * 1000).toISOString()}", upstream: "${upstream.url}" }
  - { path: /out, hosts: [a], callers: { networks: [loopback] }, token: { client: ours }, upstream: "${upstream.url}" }
  - { path: /dead, public: true, upstream: "http://127.0.0.1:1" }
`,
    { env: { SECRET: sso.client.client_secret }, clock },
  )
})
afterAll(() => Promise.all([gateway.stop(), sso.stop(), upstream.stop()]))

const get = (path: string, ...headers: string[]) =>
  ask(gateway.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n${headers.map((header) => `${header}\r\n`).join('')}\r\n`)

/** The lines that are no comments. */
async function series(): Promise<string[]> {
  return (await gateway.gateway.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'))
}

/** By how much each series grows meanwhile; a request is counted just behind its answer. */
async function grown(work: () => Promise<unknown>, requests = 1): Promise<Record<string, number>> {
  const before = await values()
  const logged = () => gateway.log.entries().filter(({ msg }) => msg === 'request' || msg === 'refused').length
  const started = logged()
  await work()
  await expect.poll(logged).toBe(started + requests)
  const after = Object.entries(await values())
  const changes = after.map(([name, value]) => [name, value - (before[name] ?? 0)] as const)
  return Object.fromEntries(
    changes.filter(([name, change]) => change !== 0 && !name.startsWith('scopegate_request_duration_seconds')),
  )
}

async function values(): Promise<Record<string, number>> {
  return Object.fromEntries(
    (await series()).map((line) => {
      const at = line.lastIndexOf(' ')
      return [line.slice(0, at), Number(line.slice(at + 1))] as const
    }),
  )
}

const requests = (route: string, status: number, code: string) =>
  `scopegate_requests_total{listener="main",route="${route}",status="${status}",code="${code}"}`

describe('the metrics', () => {
  it('count each request by route, status and outcome', async () => {
    expect(await grown(() => get('/open/a?b=c'))).toEqual({ [requests('/open/**', 200, 'ok')]: 1 })
    expect(await grown(() => get('/guarded'))).toEqual({ [requests('/guarded', 401, 'token_required')]: 1 })
    expect(await grown(() => get('/dead'))).toEqual({ [requests('/dead', 502, 'upstream_unreachable')]: 1 })
    expect(await grown(() => get('/open/../guarded'))).toEqual({ [requests('', 400, 'invalid_target')]: 1 })
  })

  it('tell the answer of the upstream from one of the gateway', async () => {
    upstream.answer((_request, response) => response.writeHead(403).end())
    expect(await grown(() => get('/open/a'))).toEqual({ [requests('/open/**', 403, 'ok')]: 1 })
    upstream.answer((_request, response) => response.end('fine'))
  })

  it('count what a route in report mode would have refused, and tell when that ends', async () => {
    expect(await grown(() => get('/trial'))).toEqual({
      [requests('/trial', 200, 'ok')]: 1,
      'scopegate_report_refusals_total{listener="main",route="/trial",code="token_required"}': 1,
    })
    const token = await sso.issueToken()
    expect(await grown(() => get('/trial', `Authorization: Bearer ${token}`))).toEqual({
      [requests('/trial', 200, 'ok')]: 1,
    })
    const ends = (await values())['scopegate_report_mode_until_timestamp_seconds{listener="main",route="/trial"}']
    expect(ends).toBe(until)
  })

  it('count the tokens that went out, by where they came from, and those that were replaced', async () => {
    const from = (source: string) => `scopegate_access_tokens_total{client="ours",source="${source}"}`
    const ok = { [requests('/out', 200, 'ok')]: 1 }
    expect(await grown(() => get('/out'))).toEqual({ ...ok, [from('fetched')]: 1 })
    expect(await grown(() => get('/out'))).toEqual({ ...ok, [from('memory')]: 1 })
    await clock.advance(11_000)
    const refused = upstream.requests.at(-1)?.headers.authorization
    upstream.answer((request, response) =>
      response.writeHead(request.headers.authorization === refused ? 401 : 200).end(),
    )
    expect(await grown(() => get('/out'))).toEqual({
      ...ok,
      [from('fetched')]: 1,
      'scopegate_access_tokens_replaced_total{client="ours"}': 1,
    })
    upstream.answer((_request, response) => response.end('fine'))
  })

  it('count connections that were refused before there was a request', async () => {
    expect(await grown(() => ask(gateway.port, 'GET /a\tb HTCPCP/1.0\r\n\r\n'))).toEqual({
      'scopegate_connections_refused_total{listener="main",code="malformed_request"}': 1,
    })
  })

  it('tell how long requests take', async () => {
    const name = (end: string, more = '') =>
      `scopegate_request_duration_seconds_${end}{${more}listener="main",route="/open/**"}`
    const before = await values()
    const askedAt = performance.now()
    upstream.answer((_request, response) => void setTimeout(() => response.end(), 60))
    await grown(() => get('/open/slow'))
    upstream.answer((_request, response) => response.end('fine'))
    const after = await values()
    const change = (key: string) => (after[key] ?? Number.NaN) - (before[key] ?? 0)
    expect(change(name('sum'))).toBeGreaterThanOrEqual(0.059)
    expect(change(name('sum'))).toBeLessThanOrEqual((performance.now() - askedAt) / 1000)
    expect([change(name('count')), change(name('bucket', 'le="0.05",')), change(name('bucket', 'le="+Inf",'))]).toEqual(
      [1, 0, 1],
    )
  })

  it('show what is on its way', async () => {
    const held = Promise.withResolvers<void>()
    upstream.answer(async (_request, response) => {
      await held.promise
      response.end()
    })
    const before = upstream.requests.length
    const asked = get('/open/held')
    await expect.poll(() => upstream.requests.length).toBe(before + 1)
    expect((await values()).scopegate_requests_in_flight).toBe(1)
    held.resolve()
    await asked
    await expect.poll(async () => (await values()).scopegate_requests_in_flight).toBe(0)
    upstream.answer((_request, response) => response.end('fine'))
  })

  it('show the version', async () => {
    expect((await values())[`scopegate_build_info{version="${version}"}`]).toBe(1)
  })

  it('count errors that nobody foresaw, those without a line of their own too', async () => {
    const metrics = createMetrics({ inFlight: () => 0, trials: [] })
    const request = { listener: 'main', status: 500, seconds: 0.1 }
    metrics.countRequest({ ...request, outcome: { code: 'internal_error' } })
    metrics.countInternalError()
    expect(await metrics.text()).toMatch(/^scopegate_internal_errors_total 2$/m)
  })

  it('count each request once, however many there are and however often somebody looks', async () => {
    const metrics = createMetrics({ inFlight: () => 0, trials: [] })
    const kinds = [
      { listener: 'a', status: 200, outcome: { code: 'ok', route: 'x', client: 'c', tokenSource: 'memory' } },
      { listener: 'a', status: 200, outcome: { code: 'ok', route: 'y' } },
      { listener: 'b', status: 200, outcome: { code: 'ok', route: 'x', client: 'c', tokenSource: 'fetched' } },
      { listener: 'b', status: 502, outcome: { code: 'ok', route: 'x' } },
      { listener: 'b', status: 502, outcome: { code: 'upstream_unreachable', route: 'x' } },
      { listener: 'b', status: undefined, outcome: { code: 'caller_gone' } },
    ]
    for (const rounds of [1, 300, 0, 7]) {
      for (let round = 0; round < rounds; round++)
        for (const [at, kind] of kinds.entries()) metrics.countRequest({ ...kind, seconds: at })
      await metrics.snapshot()
    }
    const text = await metrics.text()
    const counted = text
      .split('\n')
      .filter((line) => /^scopegate_(requests|access_tokens)_total\{|_(count|sum)\{/.test(line))
    expect(counted.map((line) => line.replace('scopegate_', '')).toSorted()).toEqual([
      'access_tokens_total{client="c",source="fetched"} 308',
      'access_tokens_total{client="c",source="memory"} 308',
      'request_duration_seconds_count{listener="a",route="x"} 308',
      'request_duration_seconds_count{listener="a",route="y"} 308',
      'request_duration_seconds_count{listener="b",route=""} 308',
      'request_duration_seconds_count{listener="b",route="x"} 924',
      'request_duration_seconds_sum{listener="a",route="x"} 0',
      'request_duration_seconds_sum{listener="a",route="y"} 308',
      'request_duration_seconds_sum{listener="b",route=""} 1540',
      'request_duration_seconds_sum{listener="b",route="x"} 2772',
      'requests_total{listener="a",route="x",status="200",code="ok"} 308',
      'requests_total{listener="a",route="y",status="200",code="ok"} 308',
      'requests_total{listener="b",route="",status="",code="caller_gone"} 308',
      'requests_total{listener="b",route="x",status="200",code="ok"} 308',
      'requests_total{listener="b",route="x",status="502",code="ok"} 308',
      'requests_total{listener="b",route="x",status="502",code="upstream_unreachable"} 308',
    ])
  })

  it('hold nothing that a caller sends: paths, queries, methods, hosts, tokens', async () => {
    await grown(() => get('/nowhere'))
    const known = async () => new Set((await series()).map((line) => line.slice(0, line.lastIndexOf(' '))))
    const before = await known()
    const random = () => randomBytes(9).toString('hex')
    const count = 10_000
    const sent = Array.from(
      { length: count },
      () => `GET /${random()}?${random()} HTTP/1.1\r\nHost: ${random()}\r\n\r\n`,
    )
    await grown(async () => {
      for (let at = 0; at < count; at += 50) await answered(sent.slice(at, at + 50).join(''), 50)
    }, count)
    expect(await known()).toEqual(before)

    const token = await sso.issueToken({ scope: 'customer.write' })
    await grown(() => get('/guarded?q=secret', `Authorization: Bearer ${token}`, 'X-Request-Id: from-outside'))
    await grown(() => ask(gateway.port, 'PROPFIND /from-outside HTTP/1.1\r\nHost: from-outside\r\n\r\n'))
    const text = await gateway.gateway.metrics()
    for (const word of [token, 'secret', 'from-outside', 'PROPFIND', 'nowhere']) expect(text).not.toContain(word)
  }, 60_000)

  it('are each explained in the README', async () => {
    const readme = readFileSync('README.md', 'utf8')
    const names = [...(await gateway.gateway.metrics()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name)
    expect(names.length).toBeGreaterThan(8)
    expect(names.filter((name) => !readme.includes(`\`${name}`))).toEqual([])
  })

  it('are each gateway’s own', async () => {
    const other = createMetrics({ inFlight: () => 0, trials: [] })
    other.countRequest({ listener: 'main', status: 200, seconds: 1, outcome: { code: 'ok', route: 'of-the-other' } })
    expect(await other.text()).toContain('of-the-other')
    expect(await gateway.gateway.metrics()).not.toContain('of-the-other')
  })
})

describe('the metrics of the process', () => {
  it('are there, each once, whoever asks for them', async () => {
    for (const _ of [1, 2]) {
      const text = await processMetrics()
      for (const name of ['process_resident_memory_bytes', 'nodejs_eventloop_lag_seconds', 'process_open_fds'])
        expect(text.match(new RegExp(`^${name} `, 'gm'))).toHaveLength(1)
    }
  })
})

/** Sends pipelined requests, and waits for that many answers. */
function answered(bytes: string, count: number): Promise<string> {
  return sendRaw(gateway.port, bytes, { until: (received) => received.split('HTTP/1.1 404').length > count })
}
