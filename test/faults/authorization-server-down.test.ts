import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import {
  type Answer,
  answerBroken,
  answerNever,
  answerWith,
  startAuthorizationServer,
} from '../harness/authorization-server.ts'
import { createTestClock } from '../harness/clock.ts'
import { startGateway } from '../harness/gateway.ts'
import { createSecret } from '../harness/secrets.ts'
import { startUpstream, type UpstreamHandler } from '../harness/upstream.ts'
import { createKeeper } from '../proxy/keep.ts'
import { startGatewayProcess } from './gateway-process.ts'
import { type Answered, get } from './load.ts'

const { keep } = createKeeper()

const second = 1000
const minute = 60 * second
const clientNames = Array.from({ length: 100 }, (_, index) => `client-${index}`)

/** A gateway with a hundred clients of one authorization server, whose time stands still until the test turns it. */
async function startClients() {
  const clock = createTestClock(Date.now())
  const clients = clientNames.map((name) => ({ client_id: name, client_secret: createSecret() }))
  const sso = await keep(startAuthorizationServer({ clients }))
  const upstream = await keep(startUpstream((_request, response) => response.end('welcome')))
  const yaml = `
authorization_servers: { sso: { issuer: "${sso.issuer}", timeout: 500ms } }
clients:
${clients.map(({ client_id: id }, index) => `  ${id}: { authorization_server: sso, client_id: ${id}, client_secret: "\${env:SECRET_${index}}" }`).join('\n')}
routes:
${clientNames.map((name) => `  - { path: /${name}, callers: { networks: [loopback] }, token: { client: ${name} }, upstream: "${upstream.url}" }`).join('\n')}
`
  const env = Object.fromEntries(clients.map(({ client_secret: secret }, index) => [`SECRET_${index}`, secret]))
  const gateway = await keep(startGateway(yaml, { clock, env }))
  const arrivals: number[] = []
  return {
    clock,
    upstream,
    /** When each request came in vain. */
    arrivals,
    fail: (answer: Answer) =>
      sso.answer('token', (...exchange) => {
        arrivals.push(clock.now())
        answer(...exchange)
      }),
    recover: () => sso.answer('token'),
    ask: (name: string) => get({ port: gateway.port, path: `/${name}` }),
    askAll: () => Promise.all(clientNames.map((name) => get({ port: gateway.port, path: `/${name}` }))),
  }
}

const statuses = (answers: readonly Answered[]) => [...new Set(answers.map(({ status }) => status))]

/** The most of these moments that lie within one minute. */
const mostInAMinute = (moments: readonly number[]) =>
  Math.max(0, ...moments.map((from) => moments.filter((moment) => moment >= from && moment < from + minute).length))

const outages: Record<string, Answer> = {
  'breaks every connection': answerBroken,
  'answers 500 to everything': answerWith(500, 'out of order'),
  'says nothing at all': answerNever,
}

describe.each(Object.keys(outages))('with 100 clients, an authorization server that %s', (what) => {
  test('hurts nobody while tokens are good, is spared after that, and is used as soon as it is back', async () => {
    const { clock, upstream, arrivals, fail, recover, ask, askAll } = await startClients()
    expect(statuses(await askAll())).toEqual([200])
    fail(outages[what] ?? answerBroken)

    // Tokens live for 300 s, and are not used in their last 5 s. Renewals begin after 240 s.
    for (let passed = 0; passed < 290; passed += 10) {
      await clock.advance(10 * second)
      if (passed % 50 === 0 || passed > 230) expect(statuses(await askAll())).toEqual([200])
    }
    expect(arrivals.length).toBeGreaterThan(0)

    await clock.advance(5 * second)
    const before = upstream.requests.length
    for (let passed = 0; passed < 150; passed++) {
      const from = (passed * 5) % clientNames.length
      const answers =
        passed % 50 === 0
          ? await askAll()
          : await Promise.all(clientNames.slice(from, from + 5).map((name) => ask(name)))
      expect(statuses(answers)).toEqual([503])
      for (const { retryAfter, body } of answers) {
        expect(Number(retryAfter)).toBeGreaterThanOrEqual(1)
        expect(Number(retryAfter)).toBeLessThanOrEqual(30)
        expect(JSON.parse(body)).toMatchObject({ code: 'authorization_server_unavailable' })
      }
      await clock.advance(second)
    }
    expect(upstream.requests).toHaveLength(before)
    expect(mostInAMinute(arrivals)).toBeLessThanOrEqual(10)
    expect(arrivals.length).toBeGreaterThan(5)

    recover()
    const { retryAfter } = await ask('client-0')
    await clock.advance(Number(retryAfter ?? 0) * second)
    expect((await ask('client-1')).status).toBe(200)
    expect(statuses(await askAll())).toEqual([200])
  }, 60_000)
})

/** Twenty token endpoints of each kind, so that no failure is remembered from one to the next. */
const rounds = 20
const timeout = 500
const secret = createSecret()

const megabyte = Buffer.alloc(1024 * 1024, 'x')
const drip: UpstreamHandler = (_request, response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  const timer = setInterval(() => response.write(' '), 20)
  response.on('close', () => clearInterval(timer))
}
const flood =
  (head: Record<string, string>, piece: Buffer, pieces: number): UpstreamHandler =>
  (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', ...head })
    let left = pieces
    const push = () => {
      while (left > 0 && !response.destroyed) {
        left -= 1
        if (!response.write(piece)) return void response.once('drain', push)
      }
      response.end()
    }
    push()
  }

type Hostile = readonly [what: string, status: 502 | 503, handler: UpstreamHandler]

const hostile: readonly Hostile[] = [
  ['hangs', 503, answerNever],
  ['resets the connection', 503, answerBroken],
  ['drips one byte after the other', 503, drip],
  [
    'sends headers without end',
    503,
    (_request, response) => {
      response.socket?.write('HTTP/1.1 200 OK\r\n')
      const timer = setInterval(() => response.socket?.write(`x-more: ${'x'.repeat(8000)}\r\n`), 2)
      response.socket?.on('close', () => clearInterval(timer))
    },
  ],
  ['answers a page', 502, answerWith(200, '<html>Sign in</html>')],
  ['answers 50 MB', 502, flood({}, megabyte, 50)],
  [
    'answers 200 MB, packed into 200 kB',
    502,
    flood({ 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(200 * 1024 * 1024, ' ')), 1),
  ],
  ['answers 200 with nothing in it', 502, answerWith(200, '')],
  ['sends the secret elsewhere', 502, answerWith(307, '', { location: '/elsewhere' })],
]

describe('an authorization server that is not itself', () => {
  test('ends every request within its limit of time, in the documented answer, and in bounded memory', async () => {
    const elsewhere: string[] = []
    const server = await keep(
      startUpstream((request, response, seen) => {
        if (request.url === '/elsewhere') elsewhere.push(seen.url)
        const kind = Number(/^\/(\d+)\/\d+$/.exec(request.url ?? '')?.[1])
        request.resume()
        hostile[kind]?.[2](request, response, seen)
      }),
    )
    const upstream = await keep(startUpstream())
    const all = hostile.flatMap((_, kind) => Array.from({ length: rounds }, (_each, round) => [kind, round] as const))
    const yaml = `
authorization_servers:
${all.map(([kind, round]) => `  s${kind}-${round}: { token_endpoint: "${server.url}/${kind}/${round}", timeout: ${timeout}ms }`).join('\n')}
clients:
${all.map(([kind, round]) => `  c${kind}-${round}: { authorization_server: s${kind}-${round}, client_id: legacy, client_secret: "\${env:SECRET}" }`).join('\n')}
routes:
${all.map(([kind, round]) => `  - { path: /${kind}/${round}, callers: { networks: [loopback] }, token: { client: c${kind}-${round} }, upstream: "${upstream.url}" }`).join('\n')}
`
    const { port, usage, program } = await keep(startGatewayProcess(yaml, { SECRET: secret }))
    await get({ port, path: '/none' })
    const told: string[] = []
    for (const [kind, [what, status]] of hostile.entries()) {
      const before = await usage()
      let [peak, slowest] = [0, 0]
      for (let round = 0; round < rounds; round += 4) {
        const answers = await Promise.all(
          [0, 1, 2, 3].map((offset) => get({ port, path: `/${kind}/${round + offset}` })),
        )
        expect([what, statuses(answers)]).toEqual([what, [status]])
        for (const { retryAfter } of answers) expect(retryAfter).toBe(status === 503 ? '1' : undefined)
        slowest = Math.max(slowest, ...answers.map(({ milliseconds }) => milliseconds))
        peak = Math.max(peak, (await usage()).memory)
      }
      const grown = (peak - before.memory) / 1024 / 1024
      told.push(`${what}: ${status}, slowest ${slowest.toFixed(0)} ms, memory ${grown.toFixed(1)} MiB more`)
      expect(slowest).toBeLessThan(timeout + 1000)
      expect([what, grown < 60]).toEqual([what, true])
    }
    process.stdout.write(`${told.join('\n')}\n`)
    expect(elsewhere).toEqual([])
    expect(upstream.requests).toEqual([])
    expect(program.lines().filter(({ code }) => code === 'internal_error')).toEqual([])
  }, 60_000)
})
