import { createServer } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { createLog } from '../../src/base/log.ts'
import { parseConfig } from '../../src/config/load.ts'
import { serve } from '../../src/server.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { createTestClock, type TestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { listen } from '../harness/listen.ts'
import { createTestLog } from '../harness/logs.ts'
import { parseAnswers } from '../harness/raw-client.ts'
import { type RawUpstream, startRawUpstream } from '../harness/upstream.ts'
import { openConnection, type RawConnection, socketAnswer, socketRequest } from '../harness/web-socket.ts'
import { until } from '../proxy/proxy-server.ts'

let sso: AuthorizationServer
let upstream: RawUpstream
let clock: TestClock
/** The upstream's ends, oldest first, and which of them have been closed by the other side. */
let ends: Socket[]
let closed: number
const running: RunningGateway[] = []

beforeEach(async () => {
  sso = await startAuthorizationServer()
  ends = []
  closed = 0
  clock = createTestClock(Date.now())
  upstream = await startRawUpstream((socket, received) => {
    if (!ends.includes(socket)) {
      ends.push(socket)
      socket.on('close', () => closed++)
    }
    if (received.endsWith('\r\n\r\n') && !/^GET .(silent|late)/.test(received)) socket.write(socketAnswer())
  })
})
afterEach(async () => {
  await Promise.all(running.splice(0).map((gateway) => gateway.stop()))
  await Promise.all([sso.stop(), upstream.stop()])
})

async function start(more = ''): Promise<RunningGateway> {
  const gateway = await startGateway(
    `
listeners: { main: { limits: { connections: 3 }, timeouts: { headers: 1s, body_idle: 1s, keep_alive: 1s } } }
authorization_servers:
  sso: { issuer: "${sso.issuer}", keys: { refresh: 12h }, access_tokens: { audience: any, clock_tolerance: 5s } }
clients: { ours: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" } }
routes:
  - { path: /open, public: true, upstream: { url: "${upstream.url}", timeouts: { idle: 1s } } }
  - { path: /plain, public: true, upstream: "${upstream.url}" }
  - { path: /silent, public: true, upstream: "${upstream.url}" }
  - { path: /dead, public: true, upstream: "http://127.0.0.1:9" }
  - { path: /guarded, require: any_token, upstream: "${upstream.url}" }
  - { path: /lasting, require: any_token, end_at_token_expiry: false, upstream: "${upstream.url}" }
  - { path: /token, callers: { networks: [loopback] }, token: { client: ours }, upstream: "${upstream.url}" }
${more}`,
    { clock, env: { SECRET: sso.client.client_secret } },
  )
  running.push(gateway)
  return gateway
}

const isUpgraded = (received: string) => received.includes(' 101 ') && received.includes('\r\n\r\n')

async function upgraded(gateway: RunningGateway, path: string, ...headers: string[]): Promise<RawConnection> {
  const connection = openConnection(gateway.port, socketRequest(path, ...headers))
  await connection.until(isUpgraded)
  return connection
}

const endLine = (gateway: RunningGateway) => gateway.log.find({ msg: 'upgrade ended' }).at(-1)

describe('an upgraded connection', () => {
  it('ends at the upstream as soon as the caller leaves', async () => {
    const gateway = await start()
    const connection = await upgraded(gateway, '/open')
    connection.socket.resetAndDestroy()
    await until(() => closed === 1)
    await until(() => endLine(gateway) !== undefined)
    expect(endLine(gateway)).toMatchObject({ reason: 'caller' })
  })

  it('ends at the upstream also while that reads nothing of what the caller has sent', async () => {
    const gateway = await start()
    const connection = await upgraded(gateway, '/plain')
    ends[0]?.pause()
    connection.socket.write(Buffer.alloc(20_000_000))
    await sleep(200)
    connection.socket.resetAndDestroy()
    // A connection that is held up shows that it is broken when something is written to it.
    const writing = setInterval(() => ends[0]?.write('x'), 10)
    await until(() => endLine(gateway) !== undefined)
    clearInterval(writing)
  })

  it('ends at the caller once the upstream has ended, with every byte before', async () => {
    const gateway = await start()
    const connection = await upgraded(gateway, '/open')
    ends[0]?.end('last words')
    expect(await connection.closed).toMatch(/\r\n\r\nlast words$/)
    await until(() => endLine(gateway) !== undefined)
    expect(endLine(gateway)).toMatchObject({ reason: 'upstream', bytes_out: 10 })
  })

  it('ends at the caller when the upstream breaks it', async () => {
    const gateway = await start()
    const connection = await upgraded(gateway, '/open')
    ends[0]?.resetAndDestroy()
    await connection.closed
    await until(() => gateway.log.find({ msg: 'upgrade ended', reason: 'upstream' }).length === 1)
  })

  it('has half of it left when one side has only said that it will send no more', async () => {
    const gateway = await start()
    const connection = await upgraded(gateway, '/open')
    ends[0]?.removeAllListeners('end')
    connection.socket.end('question')
    await until(() => upstream.connections[0]?.endsWith('question') === true)
    ends[0]?.end('answer')
    expect(await connection.closed).toMatch(/\r\n\r\nanswer$/)
  })

  it('takes what the caller still has to say after the upstream will say no more', async () => {
    const gateway = await start()
    const connection = openConnection(gateway.port, socketRequest('/open'))
    connection.socket.removeAllListeners('end')
    await connection.until(isUpgraded)
    const ended = new Promise((resolve) => connection.socket.once('end', resolve))
    ends[0]?.end()
    await ended
    connection.socket.end('one thing more')
    await until(() => upstream.connections[0]?.endsWith('one thing more') === true)
  })

  it('is cut when the other side does not end too', async () => {
    const gateway = await start()
    const connection = openConnection(gateway.port, socketRequest('/plain'))
    connection.socket.removeAllListeners('end')
    await connection.until(isUpgraded)
    const before = clock.pendingTimers()
    ends[0]?.end()
    await until(() => clock.pendingTimers() > before)
    expect(connection.socket.destroyed).toBe(false)
    await clock.advance(2000)
    await until(() => endLine(gateway) !== undefined)
    connection.socket.destroy()
  })

  it('may be silent for longer than any of the limits for requests', async () => {
    const gateway = await start()
    const connection = await upgraded(gateway, '/open')
    await Promise.all([clock.advance(3_600_000), sleep(2500)])
    connection.socket.write('still here')
    await until(() => upstream.connections[0]?.endsWith('still here') === true)
    ends[0]?.write('I too')
    await connection.until((received) => received.endsWith('I too'))
    connection.socket.destroy()
  })

  it('counts among the connections of its listener', async () => {
    const gateway = await start()
    const three = [await upgraded(gateway, '/open'), await upgraded(gateway, '/open'), await upgraded(gateway, '/open')]
    const fourth = openConnection(gateway.port, socketRequest('/open'))
    expect(parseAnswers(await fourth.closed)[0]?.status).toBe(503)
    three[0]?.socket.destroy()
    await until(() => closed === 1)
    await upgraded(gateway, '/open')
  })
})

describe('the token of the caller', () => {
  const token = async (lifetime: number) =>
    `Authorization: Bearer ${await sso.signToken({ exp: Math.floor(clock.now() / 1000) + lifetime })}`

  it('ends the connection when it expires, the tolerance counted', async () => {
    const gateway = await start()
    const connection = await upgraded(gateway, '/guarded', await token(60))
    await clock.advance(63_000)
    connection.socket.write('still')
    await until(() => upstream.connections[0]?.endsWith('still') === true)
    await clock.advance(3000)
    await connection.closed
    await until(() => closed === 1 && endLine(gateway) !== undefined)
    expect(endLine(gateway)).toMatchObject({ reason: 'token_expired' })
  })

  it('does so also where nobody reads what was sent last', async () => {
    const gateway = await start()
    const connection = await upgraded(gateway, '/guarded', await token(60))
    connection.socket.pause()
    for (let piece = 0; piece < 200; piece++) ends[0]?.write(Buffer.alloc(100_000))
    await clock.advance(66_000)
    await clock.advance(3000)
    await until(() => closed === 1 && endLine(gateway) !== undefined)
    connection.socket.destroy()
  })

  it('that lasts longer than a timer can run does not end it at once', async () => {
    const gateway = await start()
    const days = 40
    const connection = await upgraded(gateway, '/guarded', await token(days * 86_400))
    await clock.advance((days - 1) * 86_400_000)
    connection.socket.write('still')
    await until(() => upstream.connections[0]?.endsWith('still') === true)
    await clock.advance(86_400_000 + 6000)
    await connection.closed
  })

  it('leaves the connection alone where the route says so', async () => {
    const gateway = await start()
    const connection = await upgraded(gateway, '/lasting', await token(60))
    await clock.advance(3_600_000)
    connection.socket.write('still')
    await until(() => upstream.connections[0]?.endsWith('still') === true)
    connection.socket.destroy()
  })
})

describe('a caller who leaves before its WebSocket is there', () => {
  it('costs no request while a token is fetched', async () => {
    const gateway = await start()
    const release = sso.hold('token')
    const connection = openConnection(gateway.port, socketRequest('/token'))
    await until(() => sso.requestsTo('token').length === 1)
    connection.socket.end()
    await until(() => gateway.log.find({ msg: 'request', code: 'caller_gone' }).length === 1)
    release()
    await sleep(50)
    expect(upstream.connections).toEqual([])
  })

  it('ends the request to the upstream while that does not answer', async () => {
    const gateway = await start()
    const connection = openConnection(gateway.port, socketRequest('/silent'))
    await until(() => ends.length === 1)
    connection.socket.end()
    await until(() => closed === 1)
    expect(gateway.lastLine()).toMatchObject({ status: 499, code: 'caller_gone' })
  })
})

describe('an upstream', () => {
  it('that cannot be reached is 502', async () => {
    const gateway = await start()
    const connection = openConnection(gateway.port, socketRequest('/dead'))
    expect(parseAnswers(await connection.closed)[0]).toMatchObject({ status: 502, headers: { connection: 'close' } })
  })

  it('that does not answer the request for a WebSocket is 504, and its connection is closed', async () => {
    const gateway = await start()
    const connection = openConnection(gateway.port, socketRequest('/silent'))
    await until(() => upstream.connections[0]?.endsWith('\r\n\r\n') === true)
    await clock.advance(30_000)
    expect(parseAnswers(await connection.closed)[0]?.status).toBe(504)
    await until(() => closed === 1)
  })
})

describe('what is sent before it may be', () => {
  it('waits for the admission, and then goes out in its order', async () => {
    const gateway = await start()
    const release = sso.hold('token')
    const connection = openConnection(gateway.port, `${socketRequest('/token')}one `)
    await until(() => sso.requestsTo('token').length === 1)
    connection.socket.write('two ')
    await sleep(50)
    expect(upstream.connections).toEqual([])
    release()
    await connection.until(isUpgraded)
    connection.socket.write('three')
    await until(() => upstream.connections[0]?.endsWith('\r\n\r\none two three') === true)
    connection.socket.destroy()
  })

  it.each([
    ['before its token is there', '/token'],
    ['before the upstream has answered', '/late'],
  ])('is 400 where it is more than a little, %s, and none of it reaches the upstream', async (_, path) => {
    const gateway = await start(`  - { path: /late, public: true, upstream: "${upstream.url}" }`)
    const release = sso.hold('token')
    const connection = openConnection(gateway.port, socketRequest(path))
    const sent = new Promise((resolve) => connection.socket.write(Buffer.alloc(12_000_000), resolve))
    await sent
    release()
    if (path === '/late') ends[0]?.write(socketAnswer())
    const [answer] = parseAnswers(await connection.closed)
    expect([answer?.status, answer?.complete, answer?.headers.connection]).toEqual([400, true, 'close'])
    expect(gateway.lastLine()).toMatchObject({ code: 'invalid_upgrade' })
    await until(() => closed === 1)
    expect(upstream.connections.join('')).toMatch(/^GET [^\0]*\r\n\r\n$/)
  })

  it('is not gathered up, and does not hide that the caller has gone', async () => {
    const gateway = await start()
    const connection = openConnection(gateway.port, socketRequest('/silent'))
    await until(() => ends.length === 1)
    const before = process.memoryUsage().arrayBuffers
    const piece = Buffer.alloc(1_000_000)
    for (let megabytes = 0; megabytes < 300; megabytes++)
      await new Promise((resolve) => connection.socket.write(piece, resolve))
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(150_000_000)
    connection.socket.resetAndDestroy()
    await until(() => closed === 1)
    expect(gateway.lastLine()).toMatchObject({ status: 499, code: 'caller_gone' })
  })

  it('does not take the answer away from a caller who is refused while it sends', async () => {
    const gateway = await start()
    const connection = openConnection(gateway.port, socketRequest('/guarded'))
    const sent = new Promise((resolve) => connection.socket.write(Buffer.alloc(12_000_000), resolve))
    const [answer] = parseAnswers(await connection.closed)
    expect(await sent).toBeFalsy()
    expect(answer).toMatchObject({ status: 401, complete: true })
    expect(upstream.connections).toEqual([])
  })

  it('goes to nobody when the caller is refused', async () => {
    const gateway = await start()
    const hidden = 'GET /open HTTP/1.1\r\nHost: a\r\n\r\n'
    const connection = openConnection(gateway.port, socketRequest('/guarded') + hidden)
    connection.socket.write(hidden)
    const answers = parseAnswers(await connection.closed)
    expect(answers.map(({ status }) => status)).toEqual([401])
    expect(upstream.connections).toEqual([])
  })

  it('follows the head of the answer when it is the upstream that does not wait', async () => {
    const eager = await startRawUpstream(`${socketAnswer()}at once`)
    onTestFinished(eager.stop)
    const gateway = await start(`  - { path: /eager, public: true, upstream: "${eager.url}" }`)
    const connection = openConnection(gateway.port, socketRequest('/eager'))
    await connection.until((received) => received.endsWith('\r\n\r\nat once'))
    connection.socket.destroy()
  })
})

describe('a request for a WebSocket behind another request', () => {
  async function startSlow() {
    const released = Promise.withResolvers<void>()
    const slow = await listen(
      createServer(async (_request, response) => {
        await released.promise
        response.end('x'.repeat(3_000_000))
      }),
    )
    onTestFinished(slow.stop)
    const gateway = await start(`  - { path: /slow, public: true, upstream: "http://127.0.0.1:${slow.port}" }`)
    return { gateway, release: released.resolve }
  }
  const slowRequest = 'GET /slow HTTP/1.1\r\nHost: a\r\n\r\n'

  it('waits until that is answered', async () => {
    const { gateway, release } = await startSlow()
    const connection = openConnection(gateway.port, `${slowRequest}${socketRequest('/open')}early`)
    await sleep(50)
    expect(upstream.connections).toEqual([])
    release()
    await until(() => upstream.connections[0]?.endsWith('early') === true)
    const [first, second] = parseAnswers(connection.received())
    expect([first?.status, first?.body.length, second?.status]).toEqual([200, 3_000_000, 101])
    connection.socket.destroy()
  })

  it('ends the connection when too much follows it meanwhile', async () => {
    const { gateway } = await startSlow()
    const connection = openConnection(gateway.port, slowRequest + socketRequest('/open'))
    connection.socket.write(Buffer.alloc(12_000_000))
    expect(await connection.closed).toBe('')
    await until(() => gateway.log.find({ msg: 'request', code: 'caller_gone' }).length === 2)
    expect(upstream.connections).toEqual([])
  })

  it('is never sent when the caller leaves meanwhile, nor is what stands between them', async () => {
    const { gateway, release } = await startSlow()
    const between = 'GET /plain HTTP/1.1\r\nHost: a\r\n\r\n'
    const connection = openConnection(gateway.port, slowRequest + between + socketRequest('/open'))
    await sleep(50)
    connection.socket.destroy()
    await until(() => gateway.log.find({ msg: 'request', code: 'caller_gone' }).length === 3)
    release()
    await sleep(50)
    expect(upstream.connections).toEqual([])
  })
})

it('a connection that is reset before it is upgraded does not end the process', async () => {
  const yaml = `
listeners: { main: { address: "127.0.0.1:0" } }
routes: [{ path: /silent, public: true, upstream: "${upstream.url}" }]`
  const server = await serve(parseConfig(yaml, { file: 'test.yaml' }), { log: createLog(createTestLog()) })
  onTestFinished(async () => void (await server.stop()))
  const connection = openConnection(server.addresses.get('main')?.port ?? 0, socketRequest('/silent'))
  await until(() => ends.length === 1)
  connection.socket.resetAndDestroy()
  await until(() => closed === 1)
})

describe('a process that stops', () => {
  it('cuts upgraded connections off after the grace, and says how many', async () => {
    const log = createTestLog()
    const yaml = `
listeners: { main: { address: "127.0.0.1:0" } }
shutdown_grace: 300ms
routes: [{ path: /open, public: true, upstream: "${upstream.url}" }]`
    const server = await serve(parseConfig(yaml, { file: 'test.yaml' }), { log: createLog(log) })
    const port = server.addresses.get('main')?.port ?? 0
    const connections = [openConnection(port, socketRequest('/open')), openConnection(port, socketRequest('/open'))]
    for (const connection of connections) await connection.until(isUpgraded)
    const stopping = server.stop()
    connections[0]?.socket.write('within the grace')
    await until(() => upstream.connections.some((received) => received.endsWith('within the grace')))
    expect(await stopping).toBe(2)
    for (const connection of connections) await connection.closed
    expect(log.find({ msg: 'upgrade ended', reason: 'stopping' })).toHaveLength(2)
    await until(() => closed === 2)
  })

  it('has nothing to cut where they have ended by themselves', async () => {
    const yaml = `
listeners: { main: { address: "127.0.0.1:0" } }
routes: [{ path: /open, public: true, upstream: "${upstream.url}" }]`
    const server = await serve(parseConfig(yaml, { file: 'test.yaml' }), { log: createLog(createTestLog()) })
    const connection = openConnection(server.addresses.get('main')?.port ?? 0, socketRequest('/open'))
    await connection.until(isUpgraded)
    const stopping = server.stop()
    connection.socket.end()
    expect(await stopping).toBe(0)
  })

  it('lets a gateway that is closed end its upgraded connections, also within an application', async () => {
    const gateway = await start()
    const connection = await upgraded(gateway, '/open')
    await gateway.gateway.close()
    await connection.closed
    await until(() => closed === 1)
  })
})
