import { randomBytes } from 'node:crypto'
import { expect, it } from 'vitest'
import { createTestClock } from '../harness/clock.ts'
import { startGateway } from '../harness/gateway.ts'
import { ask } from '../harness/raw-client.ts'
import { startRedis } from '../harness/redis.ts'
import { createSecret, registerSecret } from '../harness/secrets.ts'
import { startUpstream } from '../harness/upstream.ts'

it('what takes the place of a refused token is shared, though it lasts less long', async () => {
  const lives = [300, 100]
  const tokens = lives.map(() => registerSecret(`token-${randomBytes(16).toString('hex')}`))
  let issued = 0
  const sso = await startUpstream((request, response) => {
    request.resume()
    const token = { access_token: tokens[issued], token_type: 'Bearer', expires_in: lives[issued] }
    issued += 1
    response.setHeader('content-type', 'application/json').end(JSON.stringify(token))
  })
  const upstream = await startUpstream((request, response, seen) => {
    request.resume()
    response.writeHead(seen.headers.authorization === `Bearer ${tokens[0]}` && revoked ? 401 : 200).end()
  })
  let revoked = false
  const redis = await startRedis()
  const yaml = `
authorization_servers: { sso: { token_endpoint: "${sso.url}/token" } }
clients: { batch: { authorization_server: sso, client_id: batch, client_secret: "\${env:SECRET}" } }
token_cache: { redis: { url: "${redis.url}", encryption_keys: ["\${env:KEY}"] } }
routes: [{ path: /api, callers: { networks: [loopback] }, token: { client: batch }, upstream: "${upstream.url}" }]
`
  const env = { SECRET: createSecret(), KEY: registerSecret(randomBytes(32).toString('base64url')) }
  const clock = createTestClock(Date.now())
  const one = await startGateway(yaml, { clock, env })
  const other = await startGateway(yaml, { clock, env })
  try {
    const status = async (gateway: typeof one) =>
      (await ask(gateway.port, 'GET /api HTTP/1.1\r\nHost: localhost\r\n\r\n')).status
    await Promise.all([one.gateway.ready(), other.gateway.ready()])
    expect(await status(one)).toBe(200)
    revoked = true
    await clock.advance(10_000)
    expect(await status(one)).toBe(200)
    expect(await status(other)).toBe(200)
    expect(other.lastLine()).toMatchObject({ token: 'redis' })
    expect(upstream.requests.map(({ headers }) => headers.authorization)).toEqual(
      [0, 0, 1, 1].map((number) => `Bearer ${tokens[number]}`),
    )
    expect(issued).toBe(2)
  } finally {
    await Promise.all([one.stop(), other.stop(), sso.stop(), upstream.stop(), redis.stop()])
  }
})
