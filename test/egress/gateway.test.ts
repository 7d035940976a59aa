import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type AuthorizationServer,
  answerBroken,
  answerNever,
  answerWith,
  startAuthorizationServer,
} from '../harness/authorization-server.ts'
import { type RunningGateway, startGateway } from '../harness/gateway.ts'
import { ask } from '../harness/raw-client.ts'
import { createSecret, registerSecret } from '../harness/secrets.ts'
import { headerValues } from '../harness/seen-request.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'

let sso: AuthorizationServer
let tokenServer: Upstream
let upstream: Upstream
let gateway: RunningGateway

const partnerSecret = createSecret()

const routes = [
  '{ path: /plain, callers: { networks: [loopback] }, token: { client: legacy } }',
  '{ path: /scoped, callers: { networks: [loopback] }, token: { client: legacy, scopes: [customer.read, country.read] } }',
  '{ path: /wide, callers: { networks: [loopback] }, token: { client: wide } }',
  `{ path: /narrow, callers: { networks: [loopback] }, token: { client: wide, scope: c, audience: own, resource: ["urn:own"], params: { tenant: own, more: "1" } } }`,
  '{ path: /header, callers: { networks: [loopback] }, token: { client: wide, header: X-Api-Token, scheme: none } }',
  '{ path: /scheme, callers: { networks: [loopback] }, token: { client: wide, scheme: Token } }',
  '{ path: /swap, require: any_token, identity_headers: { X-Client-Id: client_id }, forwarded_headers: true, token: { client: legacy } }',
  '{ path: /quiet, require: any_token, token: { client: legacy } }',
  '{ path: /broken, callers: { networks: [loopback] }, token: { client: broken } }',
]

/** The gateway between the legacy callers and the upstream. A fresh one has no tokens yet. */
async function freshGateway(): Promise<void> {
  await gateway?.stop()
  const yaml = `
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: "https://api.example.test" } }
  partner: { token_endpoint: "${tokenServer.url}/oauth2/token", timeout: 1s }
clients:
  legacy: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SSO_SECRET}" }
  wide:
    authorization_server: partner
    client_id: wide
    client_secret: \${env:PARTNER_SECRET}
    scope: a b
    audience: [one, two]
    resource: urn:all
    token_params: { tenant: all, region: eu }
  broken: { authorization_server: partner, client_id: broken, client_secret: "\${env:PARTNER_SECRET}" }
routes:
${routes.map((route) => `  - ${route.replace(/ }$/, `, upstream: "${upstream.url}" }`)}`).join('\n')}
`
  gateway = await startGateway(yaml, { env: { SSO_SECRET: sso.client.client_secret, PARTNER_SECRET: partnerSecret } })
}

const granted = (value = 'token-of-the-partner') =>
  answerWith(200, { access_token: registerSecret(value), token_type: 'Bearer', expires_in: 300 })

beforeAll(async () => {
  sso = await startAuthorizationServer()
  tokenServer = await startUpstream(granted())
  upstream = await startUpstream()
})
beforeEach(async () => {
  tokenServer.answer(granted())
  await freshGateway()
})
afterAll(() => Promise.all([gateway.stop(), sso.stop(), tokenServer.stop(), upstream.stop()]))

const lastSeen = () => upstream.requests.at(-1) ?? expect.unreachable('nothing reached the upstream')
const get = (path: string, headers: Record<string, string> = {}) => fetch(gateway.url + path, { headers })
const lastForm = () => new URLSearchParams(tokenServer.requests.at(-1)?.body().toString())

describe('a legacy call', () => {
  it('arrives with a token that it never had', async () => {
    const answer = await fetch(`${gateway.url}/plain?a=1`, { method: 'POST', body: 'hello' })
    expect(answer.status).toBe(200)
    expect(lastSeen()).toMatchObject({ method: 'POST', url: '/plain?a=1' })
    expect(lastSeen().body().toString()).toBe('hello')
    const [authorization, ...others] = headerValues(lastSeen(), 'authorization')
    expect(authorization).toMatch(/^Bearer eyJ/)
    expect(others).toEqual([])
  })

  it('has it fetched once, and then from memory; the log says which', async () => {
    const before = sso.requestsTo('token').length
    await get('/plain')
    expect(gateway.lastLine()).toMatchObject({ code: 'ok', route: '/plain', client: 'legacy', token: 'fetched' })
    const first = lastSeen().headers.authorization
    await get('/plain')
    expect(gateway.lastLine()).toMatchObject({ code: 'ok', client: 'legacy', token: 'memory' })
    expect(lastSeen().headers.authorization).toBe(first)
    expect(sso.requestsTo('token')).toHaveLength(before + 1)
  })

  it('shares the one token request with all who come at once', async () => {
    const before = sso.requestsTo('token').length
    const answers = await Promise.all(Array.from({ length: 50 }, () => get('/plain')))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]))
    expect(sso.requestsTo('token')).toHaveLength(before + 1)
  })

  it('loses every Authorization that it brings along, in whatever spelling', async () => {
    const bytes =
      'GET /wide HTTP/1.1\r\nHost: localhost\r\naUTHORIZATION: Basic bWluZTptaW5l\r\nProxy-Authorization: Basic YQ==\r\n\r\n'
    expect((await ask(gateway.port, bytes)).status).toBe(200)
    expect(headerValues(lastSeen(), 'authorization')).toEqual(['Bearer token-of-the-partner'])
    expect(JSON.stringify(lastSeen().rawHeaders)).not.toContain('Basic')
  })

  it('gets the upstream’s refusal as it is, and never its token', async () => {
    upstream.answer((_request, response) => response.writeHead(403).end('no'))
    const answer = await get('/wide')
    upstream.answer((request, response) => request.resume().on('end', () => response.end('{}')))
    expect([answer.status, await answer.text()]).toEqual([403, 'no'])
    expect(JSON.stringify([...answer.headers])).not.toContain('token-of-the-partner')
  })
})

describe('what the token is asked for', () => {
  it('is the scope of the route, on a real authorization server', async () => {
    await get('/scoped')
    expect(sso.requestsTo('token').at(-1)?.body().toString()).toContain('scope=customer.read+country.read')
    const token = lastSeen().headers.authorization?.split(' ')[1] ?? ''
    const claims = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())
    expect(claims.scope).toBe('customer.read country.read')
  })

  it('is what the client says, where the route says nothing', async () => {
    await get('/wide')
    expect([...lastForm()].sort()).toEqual([
      ['audience', 'one'],
      ['audience', 'two'],
      ['grant_type', 'client_credentials'],
      ['region', 'eu'],
      ['resource', 'urn:all'],
      ['scope', 'a b'],
      ['tenant', 'all'],
    ])
    expect(tokenServer.requests.at(-1)?.headers.authorization).toBe(
      `Basic ${Buffer.from(`wide:${partnerSecret}`).toString('base64')}`,
    )
  })

  it('is what the route says, where it says something; parameters are put together', async () => {
    await get('/narrow')
    expect([...lastForm()].sort()).toEqual([
      ['audience', 'own'],
      ['grant_type', 'client_credentials'],
      ['more', '1'],
      ['region', 'eu'],
      ['resource', 'urn:own'],
      ['scope', 'c'],
      ['tenant', 'own'],
    ])
  })

  it('never depends on what the caller sends', async () => {
    await get('/wide?scope=admin&audience=x', { 'x-scope': 'admin', 'x-client-id': 'admin' })
    const before = [...lastForm()].sort()
    expect(JSON.stringify(before)).not.toContain('admin')
    const count = tokenServer.requests.length
    await get('/wide?scope=other', { 'x-scope': 'other' })
    expect(tokenServer.requests).toHaveLength(count)
  })

  it('is another token for each route that wants another one', async () => {
    await get('/wide')
    tokenServer.answer(granted('token-of-the-narrow-route'))
    await get('/narrow')
    expect(lastSeen().headers.authorization).toBe('Bearer token-of-the-narrow-route')
    await get('/wide')
    expect(lastSeen().headers.authorization).toBe('Bearer token-of-the-partner')
  })
})

describe('how the token goes out', () => {
  it('in a header of its own, without a scheme; the caller’s copy of that header and of Authorization are gone', async () => {
    await get('/header', { 'x-api-token': 'forged', authorization: 'Bearer forged' })
    expect(headerValues(lastSeen(), 'x-api-token')).toEqual(['token-of-the-partner'])
    expect(lastSeen().headers.authorization).toBeUndefined()
    expect(JSON.stringify(lastSeen().rawHeaders)).not.toContain('forged')
  })

  it('with another scheme', async () => {
    await get('/scheme')
    expect(lastSeen().headers.authorization).toBe('Token token-of-the-partner')
  })

  it('alone: the upstream learns nothing of who asked, by which way, or of the traces', async () => {
    const told = {
      forwarded: 'for=192.0.2.1',
      'x-forwarded-for': '192.0.2.1',
      'x-forwarded-host': 'inner.example',
      'x-forwarded-proto': 'https',
      'x-real-ip': '192.0.2.1',
      'x-client-id': 'admin',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'a=b',
      baggage: 'user=me',
    }
    const token = await sso.issueToken({ scope: 'customer.read' })
    for (const path of ['/wide', '/quiet']) {
      const answer = await get(path, { ...told, ...(path === '/quiet' && { authorization: `Bearer ${token}` }) })
      expect(answer.status).toBe(200)
      expect(Object.keys(lastSeen().headers).filter((name) => name in told)).toEqual([])
      expect(JSON.stringify(lastSeen().rawHeaders)).not.toContain(`127.0.0.1:${gateway.port}`)
    }
  })

  it('in the place of the caller’s own token, where one is required; who called is told if the route says so', async () => {
    const token = await sso.issueToken({ scope: 'customer.read' })
    expect((await get('/swap')).status).toBe(401)
    expect((await get('/swap', { authorization: `Bearer ${token}`, 'x-client-id': 'admin' })).status).toBe(200)
    const [authorization, ...others] = headerValues(lastSeen(), 'authorization')
    expect(others).toEqual([])
    expect(authorization).toMatch(/^Bearer eyJ/)
    expect(authorization).not.toBe(`Bearer ${token}`)
    expect(lastSeen().headers['x-client-id']).toBe('default-client')
    expect(lastSeen().headers['x-forwarded-for']).toBe('127.0.0.1')
  })
})

/** What the token endpoint does, and how the caller of the gateway is answered. */
const failures: Record<string, [answer: Parameters<Upstream['answer']>[0], status: number, code: string]> = {
  'breaks the connection': [answerBroken, 503, 'authorization_server_unavailable'],
  'says nothing': [answerNever, 503, 'authorization_server_unavailable'],
  'answers 500': [answerWith(500, '<h1>Oops</h1>'), 503, 'authorization_server_unavailable'],
  'answers 429': [answerWith(429, '', { 'retry-after': '17' }), 503, 'authorization_server_unavailable'],
  'refuses the client': [answerWith(401, { error: 'invalid_client' }), 502, 'authorization_server_refused'],
  'refuses the scope': [answerWith(400, { error: 'invalid_scope' }), 502, 'authorization_server_refused'],
  'answers a page': [answerWith(200, '<html></html>'), 502, 'authorization_server_invalid_response'],
  'answers no token': [answerWith(200, { token_type: 'Bearer' }), 502, 'authorization_server_invalid_response'],
  'answers a token that would begin another header': [
    answerWith(200, { access_token: 'a\r\nX-Admin: true', token_type: 'Bearer' }),
    502,
    'authorization_server_invalid_response',
  ],
}

describe('where no token is to be had, nothing goes out', () => {
  for (const [what, [answer, status, code]] of Object.entries(failures)) {
    it(`the authorization server ${what}: ${status} ${code}`, async () => {
      tokenServer.answer(answer)
      const before = upstream.requests.length
      const response = await get('/broken', { authorization: 'Bearer of-the-caller' })
      const body = await response.text()
      expect(response.status).toBe(status)
      expect(JSON.parse(body)).toMatchObject({ status, code })
      expect(response.headers.get('retry-after')).toBe(status === 502 ? null : what === 'answers 429' ? '17' : '1')
      expect(response.headers.get('www-authenticate')).toBeNull()
      expect(body).not.toContain(partnerSecret)
      expect(body).not.toContain(tokenServer.url)
      expect(gateway.lastLine()).toMatchObject({ status, code, client: 'broken', route: '/broken', level: 'warn' })
      expect(gateway.lastLine().token).toBeUndefined()
      expect(gateway.log.text()).not.toContain(partnerSecret)
      expect(upstream.requests).toHaveLength(before)
    })
  }

  it('and the body of the request is not waited for', async () => {
    tokenServer.answer(answerWith(500, ''))
    const before = upstream.requests.length
    const answer = await ask(
      gateway.port,
      'POST /broken HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\nabc',
    )
    expect([answer.status, answer.headers.connection]).toEqual([503, 'close'])
    expect(upstream.requests).toHaveLength(before)
  })
})

it('across everything above, no request reached the upstream without a token of the gateway’s', () => {
  expect(upstream.requests.length).toBeGreaterThan(20)
  const bare = upstream.requests.filter(
    ({ headers }) =>
      !/^(Bearer|Token) (token-of-|eyJ)/.test(headers.authorization ?? '') &&
      !String(headers['x-api-token']).startsWith('token-of-'),
  )
  expect(bare).toEqual([])
})
