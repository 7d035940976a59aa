import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { createTestClock } from '../harness/clock.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { listen } from '../harness/listen.ts'
import { createSecret, registerSecret } from '../harness/secrets.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'
import { until } from '../proxy/proxy-server.ts'

const life = 10
const clock = createTestClock()
let sso: Upstream
let upstream: Upstream
const stops: (() => Promise<void>)[] = []
beforeEach(async () => {
  let issued = 0
  sso = await startUpstream((request, response) => {
    request.resume()
    issued += 1
    const token = { access_token: registerSecret(`short-lived-${issued}`), token_type: 'Bearer', expires_in: life }
    response.setHeader('content-type', 'application/json').end(JSON.stringify(token))
  })
  upstream = await startUpstream()
  stops.push(sso.stop, upstream.stop)
})
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function start(url: string): Promise<RunningGateway> {
  const gateway = await startGateway(
    `
authorization_servers: { sso: { token_endpoint: "${sso.url}/token" } }
clients: { batch: { authorization_server: sso, client_id: batch, client_secret: "\${env:SECRET}" } }
routes:
  - path: /api
    callers: { networks: [loopback] }
    token: { client: batch }
    upstream: { url: "${url}", timeouts: { connect: 60s } }
`,
    { clock, env: { SECRET: createSecret() } },
  )
  stops.push(gateway.stop)
  return gateway
}

/** Sends some bytes, and gives back the connection, on which more can be sent, and what comes of it. */
function send(port: number, bytes: string): { socket: Socket; answer: Promise<string> } {
  const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
  const answer = once(socket, 'data').then(([data]) => String(data).split('\r\n', 1)[0] ?? '')
  stops.push(async () => void socket.destroy())
  return { socket, answer }
}

it('a caller that takes longer for a small body than its token lives gets its request through with another one', async () => {
  const gateway = await start(upstream.url)
  const { socket, answer } = send(gateway.port, 'POST /api HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nh')
  await until(() => sso.requests.length === 1)
  await clock.advance(2 * life * 1000)
  socket.write('i')
  expect(await answer).toBe('HTTP/1.1 200 OK')
  const [seen] = upstream.requests
  const asked = sso.requests.length
  expect(asked).toBeGreaterThan(1)
  expect([seen?.headers.authorization, String(seen?.body())]).toEqual([`Bearer short-lived-${asked}`, 'hi'])
})

it('a token that has gone bad while the upstream was not to be reached goes out no more: 504', async () => {
  const heard: Buffer[] = []
  const sockets = new Set<Socket>()
  const silent = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {}).on('data', (data) => void heard.push(data))
  })
  const { port, stop } = await listen(silent)
  stops.push(stop)
  const gateway = await start(`https://127.0.0.1:${port}`)
  const { answer } = send(gateway.port, 'GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n')
  await until(() => sockets.size === 1)
  await clock.advance(life * 1000)
  expect(await answer).toBe('HTTP/1.1 504 Gateway Timeout')
  expect(gateway.lastLine()).toMatchObject({ code: 'upstream_timeout', reason: 'no connection' })
  expect(Buffer.concat(heard).toString('latin1')).not.toContain('short-lived')
})
