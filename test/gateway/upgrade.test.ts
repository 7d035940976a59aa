import { createServer, type IncomingMessage } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { createTestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { type Listening, listen } from '../harness/listen.ts'
import { parseAnswer } from '../harness/raw-client.ts'
import { openConnection, socketRequest } from '../harness/web-socket.ts'
import { until } from '../proxy/proxy-server.ts'

const clock = createTestClock(Date.now())
let sso: AuthorizationServer
let upstream: Listening
let gateway: RunningGateway
let bearer: string
/** The requests that reached the upstream, of either kind. */
const seen: IncomingMessage[] = []
/** The tokens that the upstream refuses. */
const refused = new Set<string>()

beforeAll(async () => {
  sso = await startAuthorizationServer()
  const isPlain = ({ url = '' }: IncomingMessage) => ['/plain', '/large'].includes(url)
  const server = createServer({ shouldUpgradeCallback: (request) => !isPlain(request) }, (request, response) => {
    seen.push(request)
    if (request.url === '/large') response.end(Buffer.alloc(5_000_000, 'x'))
    else response.writeHead(426, { 'x-why': 'no socket here', upgrade: 'websocket' }).end('plain')
  })
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: (offered) => [...offered][1] ?? false })
  server.on('upgrade', (request, socket, head) => {
    seen.push(request)
    if (refused.has(request.headers.authorization ?? ''))
      socket.end('HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\nContent-Length: 5\r\n\r\ninner')
    else
      sockets.handleUpgrade(request, socket, head, (each) =>
        each.on('message', (data, binary) => each.send(data, { binary })),
      )
  })
  upstream = await listen(server)
  const url = `http://127.0.0.1:${upstream.port}`
  gateway = await startGateway(
    `
authorization_servers: { sso: { issuer: "${sso.issuer}", access_tokens: { audience: any } } }
clients: { ours: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" } }
routes:
  - { path: /plain, public: true, upstream: "${url}" }
  - { path: /large, public: true, upstream: "${url}" }
  - { path: /guarded, require: any_token, upstream: "${url}", identity_headers: { X-Client-Id: client_id } }
  - { path: /scoped, require: { scopes: [customer.write] }, upstream: "${url}" }
  - { path: /far, callers: { networks: [192.0.2.0/24] }, upstream: "${url}" }
  - { path: /posted, methods: [POST], public: true, upstream: "${url}" }
  - { path: /token, callers: { networks: [loopback] }, token: { client: ours }, upstream: "${url}" }
`,
    { clock, env: { SECRET: sso.client.client_secret } },
  )
  bearer = `Bearer ${await sso.signToken({ client_id: 'legacy' })}`
})
afterAll(() => Promise.all([gateway.stop(), upstream.stop(), sso.stop()]))
beforeEach(() => seen.splice(0))

async function opened(path: string, headers: Record<string, string> = {}, protocols: string[] = []) {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}${path}`, protocols, { headers })
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject))
  return socket
}

describe('a WebSocket', () => {
  it('that is admitted carries text and bytes both ways, and ends as the two sides agree', async () => {
    const socket = await opened('/guarded', { authorization: bearer })
    const answers: unknown[] = []
    socket.on('message', (data, binary) => answers.push(binary ? data : String(data)))
    socket.send('text')
    socket.send(Buffer.from([0, 1, 255]))
    await until(() => answers.length === 2)
    expect(answers).toEqual(['text', Buffer.from([0, 1, 255])])
    socket.close(4001, 'enough')
    const [code, why] = await new Promise<[number, Buffer]>((resolve) => socket.on('close', (...end) => resolve(end)))
    expect([code, String(why)]).toEqual([4001, 'enough'])
  })

  it('is asked for with the headers of any other request, and what concerns the connection is said anew', async () => {
    const socket = await opened(
      '/guarded',
      { authorization: bearer, 'x-client-id': 'forged', 'x-original-url': '/admin', 'keep-alive': 'timeout=5' },
      ['chat', 'superchat'],
    )
    expect(socket.protocol).toBe('superchat')
    socket.terminate()
    expect(seen[0]?.headers).toMatchObject({
      connection: 'Upgrade',
      upgrade: 'websocket',
      'sec-websocket-version': '13',
      'x-client-id': 'legacy',
      'x-forwarded-for': '127.0.0.1',
      via: expect.stringMatching(/^1\.1 scopegate-/),
    })
    for (const name of ['x-original-url', 'keep-alive']) expect(seen[0]?.headers).not.toHaveProperty(name)
  })

  it('has one line when it is answered, and one when it ends', async () => {
    const lines = () => gateway.log.find({ request_id: gateway.lastLine().request_id ?? '' })
    const socket = await opened('/guarded', { authorization: bearer })
    socket.send('twelve bytes')
    await new Promise((resolve) => socket.once('message', resolve))
    socket.terminate()
    await until(() => lines().length === 2)
    const [first, second] = lines()
    expect(first).toMatchObject({ msg: 'request', status: 101, code: 'ok', route: '/guarded', caller: 'legacy' })
    expect(second).toMatchObject({
      msg: 'upgrade ended',
      route: '/guarded',
      reason: 'caller',
      bytes_in: 18,
      bytes_out: 14,
    })
  })
})

describe('a WebSocket is refused, and the upstream sees nothing of it,', () => {
  it.each([
    ['without a token', socketRequest('/guarded'), 401, 'token_required'],
    ['with a token in the query alone', socketRequest('/guarded?access_token=abc'), 401, 'token_required'],
    ['with a bad token', socketRequest('/guarded', 'Authorization: Bearer abc'), 401, 'invalid_token'],
    ['from another network', socketRequest('/far'), 403, 'caller_not_allowed'],
    ['where no route is', socketRequest('/nowhere'), 404, 'no_route'],
    ['where GET is not taken', socketRequest('/posted'), 405, 'method_not_allowed'],
    ['behind a dot segment', socketRequest('/plain/../guarded'), 400, 'invalid_target'],
    ['with two Host headers', socketRequest('/plain', 'Host: b'), 400, 'duplicate_header'],
    ['with Via of this gateway', socketRequest('/plain', 'X: VIA'), 508, 'loop_detected'],
  ])('%s', async (_, bytes, status, code) => {
    const via = seen[0]?.headers.via ?? (await viaName())
    seen.splice(0)
    const connection = openConnection(gateway.port, bytes.replace('X: VIA', `Via: ${via}`))
    // The bytes behind it are nobody's request.
    connection.socket.write(socketRequest('/plain'))
    const answer = parseAnswer(await connection.closed)
    expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([status, code])
    expect(answer?.headers).toMatchObject({ connection: 'close', 'content-type': 'application/problem+json' })
    expect(answer?.rest).toBe('')
    expect(gateway.lastLine()).toMatchObject({ status, code, method: 'GET' })
    expect(seen).toEqual([])
  })

  it('without the scope', async () => {
    const narrow = await sso.signToken({ scope: 'customer.read' })
    const connection = openConnection(gateway.port, socketRequest('/scoped', `Authorization: Bearer ${narrow}`))
    const answer = parseAnswer(await connection.closed)
    expect(answer?.headers['www-authenticate']).toContain('insufficient_scope')
    expect([answer?.status, seen.length]).toEqual([403, 0])
  })
})

async function viaName(): Promise<string> {
  await openConnection(gateway.port, socketRequest('/plain')).closed
  return seen.at(-1)?.headers.via ?? ''
}

describe('an upstream that wants no WebSocket', () => {
  it('is passed on with its own answer, and the connection is closed behind it', async () => {
    const connection = openConnection(gateway.port, socketRequest('/plain'))
    const answer = parseAnswer(await connection.closed)
    expect(answer).toMatchObject({
      status: 426,
      body: 'plain',
      headers: { 'x-why': 'no socket here', connection: 'close' },
    })
    expect(answer?.headers).not.toHaveProperty('upgrade')
    expect(gateway.lastLine()).toMatchObject({ status: 426, code: 'ok', upstream_status: 426 })
  })

  it('is passed on however long its answer, as fast as the caller reads it', async () => {
    const connection = openConnection(gateway.port, socketRequest('/large'))
    connection.socket.pause()
    await until(() => seen.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    connection.socket.resume()
    expect(parseAnswer(await connection.closed)?.body.length).toBe(5_000_000)
  })
})

describe('the token of the gateway', () => {
  it('goes out with a WebSocket as with every other request', async () => {
    const socket = await opened('/token')
    socket.terminate()
    expect(seen[0]?.headers.authorization).toMatch(/^Bearer /)
  })

  it('is replaced once refused, but the request for the WebSocket is not sent again', async () => {
    const before = await opened('/token')
    before.terminate()
    await clock.advance(11_000)
    const token = seen[0]?.headers.authorization ?? ''
    seen.splice(0)
    refused.add(token)
    const connection = openConnection(gateway.port, socketRequest('/token'))
    const answer = parseAnswer(await connection.closed)
    expect([answer?.status, JSON.parse(answer?.body ?? '').code]).toEqual([502, 'upstream_refused_token'])
    expect(gateway.lastLine().reason).toBe('a request for a WebSocket is not sent again')
    expect(seen.length).toBe(1)
    const after = await opened('/token')
    after.terminate()
    expect(seen[1]?.headers.authorization).not.toBe(token)
  })
})

describe('another offer than that of a WebSocket', () => {
  it.each([
    ['of h2c', 'Connection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk'],
    ['in HTTP/1.0', 'Connection: Upgrade, close\r\nUpgrade: websocket'],
  ])('%s is passed over, and the plain answer comes', async (name, lines) => {
    const version = name.endsWith('1.0') ? '1.0' : '1.1'
    const connection = openConnection(gateway.port, `GET /plain HTTP/${version}\r\nHost: a\r\n${lines}\r\n\r\n`)
    expect(parseAnswer(await connection.closed)).toMatchObject({ status: 426, body: 'plain' })
    for (const header of ['upgrade', 'http2-settings']) expect(seen[0]?.headers).not.toHaveProperty(header)
  })
})
