import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createExampleServer } from '../../examples/express-app.ts'
import { createLog, loadConfig } from '../../src/index.ts'
import { type AuthorizationServer, startAuthorizationServer } from '../harness/authorization-server.ts'
import { type Listening, listen } from '../harness/listen.ts'
import { createTestLog } from '../harness/logs.ts'
import { ask } from '../harness/raw-client.ts'
import { headerValues } from '../harness/seen-request.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let sso: AuthorizationServer
let upstream: Upstream
let app: Listening
let url: string

beforeAll(async () => {
  sso = await startAuthorizationServer({ audience: 'https://api.example.com' })
  upstream = await startUpstream()
  const file = fileURLToPath(new URL('../../examples/express-app.yaml', import.meta.url))
  const config = loadConfig(file, { ISSUER: sso.issuer, UPSTREAM: upstream.url })
  app = await listen(createExampleServer(config, { log: createLog(createTestLog()) }))
  url = `http://127.0.0.1:${app.port}`
})

afterAll(() => Promise.all([app.stop(), upstream.stop(), sso.stop()]))

test('the application answers its own paths', async () => {
  const answer = await fetch(`${url}/about`)
  expect(answer.status).toBe(200)
  expect(await answer.json()).toEqual({ about: 'answered by the application itself' })
})

test('a path that no route owns goes on to the application', async () => {
  const answer = await fetch(`${url}/elsewhere`)
  expect(answer.status).toBe(404)
  expect(await answer.json()).toHaveProperty('error', 'neither the application nor the gateway knows this path')
})

test('a request without a token is refused, and neither the application nor the upstream sees it', async () => {
  const before = upstream.requests.length
  const answer = await fetch(`${url}/customers/42`)
  expect(answer.status).toBe(401)
  expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer realm=/)
  expect(await answer.json()).toMatchObject({ code: 'token_required' })
  expect(upstream.requests).toHaveLength(before)
})

test('a request with the scope that the route requires reaches the upstream, which learns who asks', async () => {
  const token = await sso.issueToken({ scope: 'customer.read' })
  const answer = await fetch(`${url}/customers/42?full=1`, { headers: { authorization: `Bearer ${token}` } })
  expect(answer.status).toBe(200)
  const seen = upstream.requests.at(-1)
  expect(seen?.url).toBe('/customers/42?full=1')
  expect(headerValues(seen ?? { rawHeaders: [] }, 'x-client-id')).toEqual(['default-client'])
})

test('a refusal is final: a path trick does not go on to the application', async () => {
  const answer = await ask(app.port, 'GET /about/../customers/42 HTTP/1.1\r\nhost: example.com\r\n\r\n')
  expect(answer.status).toBe(400)
  expect(JSON.parse(answer.body)).toMatchObject({ code: 'invalid_target' })
})
