import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AuthorizationServer } from '../../src/authorization-server/authorization-server.ts'
import { version } from '../../src/base/version.ts'
import { type Answer, answerBroken, answerNever, answerWith } from '../harness/authorization-server.ts'
import { createTestClock } from '../harness/clock.ts'
import { createSecret } from '../harness/secrets.ts'
import { startUpstream, type Upstream } from '../harness/upstream.ts'
import { askAs, createServer, failureOf } from './asking.ts'

const clock = createTestClock()
const accessToken = createSecret()
const good = { access_token: accessToken, token_type: 'Bearer', expires_in: 300 }
const client = { client_id: 'batch', client_secret: createSecret() }

let endpoint: Upstream
let server: AuthorizationServer

beforeEach(async () => {
  endpoint = await startUpstream(answerWith(200, good))
  server = createServer({ token_endpoint: `${endpoint.url}/oauth2/token`, timeout: '300ms' }, clock)
})
afterEach(() => Promise.all([endpoint.stop(), server.close()]))

const ask = (...parameters: [string, string][]) => askAs(server, client, parameters)
const answer = (with_: Answer) => endpoint.answer(with_)
const sentForm = () => [...new URLSearchParams(endpoint.requests.at(-1)?.body().toString())]

describe('a token request', () => {
  it('is one POST of a form, to the endpoint that is configured, and says who asks', async () => {
    await ask(['scope', 'customer.read country.read'])
    expect(endpoint.requests).toHaveLength(1)
    expect(endpoint.requests[0]).toMatchObject({
      method: 'POST',
      url: '/oauth2/token',
      headers: { accept: 'application/json', 'user-agent': `scopegate/${version}` },
    })
    expect(endpoint.requests[0]?.headers['content-type']).toMatch(/^application\/x-www-form-urlencoded(;|$)/)
    expect(endpoint.requests[0]?.body().toString()).toBe(
      'scope=customer.read+country.read&grant_type=client_credentials',
    )
  })

  it('carries audiences, resources and further parameters, each as often as it is given', async () => {
    const parameters: [string, string][] = [
      ['audience', 'https://a.example'],
      ['audience', 'https://b.example'],
      ['resource', 'urn:c'],
      ['tenant', 'ü & co'],
    ]
    await ask(...parameters)
    expect(sentForm()).toEqual([...parameters, ['grant_type', 'client_credentials']])
  })
})

describe('answers of servers as they are', () => {
  it('Spring: the scope granted comes in another order', async () => {
    answer(answerWith(200, { ...good, scope: 'customer.read customer.write country.read', expires_in: 14399 }))
    const post = { client_id: 'service-client-jwt', token_endpoint_auth_method: 'client_secret_post' }
    const scope = 'country.read customer.read customer.write'
    expect(await askAs(server, { ...client, ...post }, [['scope', scope]])).toEqual({
      accessToken,
      scope: 'customer.read customer.write country.read',
      expiresIn: 14399,
    })
    expect(Object.fromEntries(sentForm())).toEqual({
      grant_type: 'client_credentials',
      client_id: 'service-client-jwt',
      client_secret: client.client_secret,
      scope,
    })
  })

  it('Keycloak: a refresh token that does not exist expires at once, and there is a policy', async () => {
    const extras = { refresh_expires_in: 0, 'not-before-policy': 0, scope: 'email profile' }
    answer(answerWith(200, { ...good, ...extras }))
    expect(await ask()).toEqual({ accessToken, scope: 'email profile', expiresIn: 300 })
  })

  it('Cloudentity ACP: the same client by Basic, with id and secret as they stand', async () => {
    const secret = createSecret()
    await askAs(server, { client_id: 'YzEzMGdoMHJnOHBiOG1ibDhyNTA', client_secret: secret })
    const sent = Buffer.from(`YzEzMGdoMHJnOHBiOG1ibDhyNTA:${secret}`).toString('base64')
    expect(endpoint.requests[0]?.headers.authorization).toBe(`Basic ${sent}`)
  })

  it('Airlock IAM: a token for five hours', async () => {
    answer(answerWith(200, { ...good, scope: 'client-scope', expires_in: 18000 }))
    expect(await ask(['scope', 'client-scope'])).toMatchObject({ scope: 'client-scope', expiresIn: 18000 })
  })

  it.for<[told: string, members: object, expected: object]>([
    ['token_type in any case', { token_type: 'bEARER' }, { accessToken }],
    ['no expires_in', { expires_in: undefined }, { expiresIn: undefined }],
    ['expires_in null', { expires_in: null }, { expiresIn: undefined }],
    ['expires_in as text', { expires_in: '3600' }, { expiresIn: 3600 }],
    ['expires_in zero', { expires_in: 0 }, { expiresIn: 0 }],
    ['expires_in below zero', { expires_in: -1 }, { expiresIn: -1 }],
    ['expires_in below zero, as text', { expires_in: '-1' }, { expiresIn: -1 }],
    ['no scope', {}, { scope: undefined }],
    ['scope null', { scope: null }, { scope: undefined }],
    ['an ID token that nobody asked for', { id_token: 'x' }, { accessToken }],
  ])('%s is taken', async ([, members, expected]) => {
    answer(answerWith(200, { ...good, ...members }))
    expect(await ask()).toMatchObject(expected)
  })

  it('JSON that is called something else is taken', async () => {
    answer(answerWith(200, JSON.stringify(good)))
    expect((await ask()).accessToken).toBe(accessToken)
  })
})

describe('no token to be had now: 503', () => {
  it.for<[told: string, answer: Answer, reason: string]>([
    ['500', answerWith(500, '<h1>oops</h1>'), 'answered 500'],
    ['503', answerWith(503, { error: 'temporarily_unavailable' }), 'answered 503'],
    ['429', answerWith(429, {}), 'answered 429'],
    ['a broken connection', answerBroken, 'UND_ERR_SOCKET'],
    ['silence', answerNever, 'TIMEOUT'],
    ['an answer that never ends', (_request, response) => void response.writeHead(200).write('{'), 'TIMEOUT'],
    ['what is no HTTP', (request) => void request.socket.end('SMTP ready\r\n\r\n'), 'HPE_'],
  ])('%s', async ([, given, reason]) => {
    answer(given)
    const error = await failureOf(ask())
    expect([error.code, error.status]).toEqual(['authorization_server_unavailable', 503])
    expect(error.options.reason).toContain(reason)
    expect(error.options.retryAfterSeconds).toBe(1)
    expect(error.cause).toBeUndefined()
    expect(endpoint.requests).toHaveLength(1)
  })

  it('a server that is gone', async () => {
    await endpoint.stop()
    const error = await failureOf(ask())
    expect(error.code).toBe('authorization_server_unavailable')
    expect(error.options.reason).toBe(`${endpoint.url}/oauth2/token: ECONNREFUSED`)
  })

  it.for([
    ['7', 7],
    ['0', 1],
    ['86400', 300],
    ['Thu, 01 Jan 2026 00:00:30 GMT', 30],
    ['Fri, 02 Jan 2026 00:00:00 GMT', 300],
    ['Mon, 01 Jan 2024 00:00:00 GMT', 1],
    ['soon', 1],
    ['-5', 1],
  ] as const)('Retry-After: %s is a pause of %d s', async ([value, seconds]) => {
    answer(answerWith(503, {}, { 'retry-after': value }))
    expect((await failureOf(ask())).options.retryAfterSeconds).toBe(seconds)
  })
})

describe('a refusal: 502', () => {
  const refused = async (status: number, body: object) => {
    answer(answerWith(status, body))
    const error = await failureOf(ask())
    expect([error.code, error.status, error.cause]).toEqual(['authorization_server_refused', 502, undefined])
    return error.options.reason
  }

  it.for([
    [400, 'invalid_scope'],
    [400, 'unauthorized_client'],
    [400, 'invalid_target'],
    [401, 'invalid_client'],
    [403, 'access_denied'],
  ] as const)('%d %s', async ([status, error]) => {
    expect(await refused(status, { error })).toBe(`the token endpoint answered ${status}: ${error}`)
  })

  it('is told with its description, on one line and cut', async () => {
    const description = `Scopes:\r\n\u001b[31m${'not known '.repeat(60)}`
    const reason = await refused(400, { error: 'invalid_scope', error_description: description })
    expect(reason).toContain('invalid_scope (Scopes:???[31mnot known not known')
    expect(reason?.length).toBeLessThan(350)
  })

  it('is told without a description that goes on for a megabyte', async () => {
    const description = 'ab'.repeat(450_000)
    expect(await refused(400, { error: 'invalid_scope', error_description: description })).toMatch(/: invalid_scope$/)
  })

  it('is told without a description that is no text', async () => {
    expect(await refused(400, { error: 'invalid_scope', error_description: { a: 1 } })).toMatch(/: invalid_scope$/)
  })
})

describe('an answer that makes no sense: 502', () => {
  const invalid: Record<string, Answer> = {
    HTML: answerWith(200, '<!doctype html><title>Sign in</title>'),
    'an empty body': answerWith(200, ''),
    'JSON that breaks off': answerWith(200, '{"access_token":"abc"'),
    'a list': answerWith(200, []),
    'JSON null': answerWith(200, null),
    'no access_token': answerWith(200, { ...good, access_token: undefined }),
    'an access_token that is empty': answerWith(200, { ...good, access_token: '' }),
    'an access_token that is no text': answerWith(200, { ...good, access_token: { value: 'abc' } }),
    'an access_token with a space': answerWith(200, { ...good, access_token: 'abc def' }),
    'an access_token that is not ASCII': answerWith(200, { ...good, access_token: 'schlüssel' }),
    'no token_type': answerWith(200, { ...good, token_type: undefined }),
    'a token_type that is bound to a key': answerWith(200, { ...good, token_type: 'DPoP' }),
    'a token_type of another kind': answerWith(200, { ...good, token_type: 'mac' }),
    'a scope that is a list': answerWith(200, { ...good, scope: ['a'] }),
    'expires_in as a word': answerWith(200, { ...good, expires_in: 'never' }),
    'expires_in as an empty text': answerWith(200, { ...good, expires_in: '' }),
    'expires_in true': answerWith(200, { ...good, expires_in: true }),
    'expires_in without bounds': answerWith(200, '{"access_token":"abc","token_type":"Bearer","expires_in":1e999}'),
    '201': answerWith(201, good),
    '204': (_request, response) => void response.writeHead(204).end(),
    'a refusal in HTML': answerWith(401, '<h1>401</h1>'),
    'a refusal without a code': answerWith(400, { message: 'bad' }),
    'a refusal whose code is no code': answerWith(400, { error: 'no\ncode' }),
    '404': answerWith(404, {}),
    'a status that there is not': (request) =>
      void request.socket.end('HTTP/1.1 999 ?\r\ncontent-length: 0\r\nconnection: close\r\n\r\n'),
  }

  it.for(Object.keys(invalid))('%s', async (told) => {
    answer(invalid[told] ?? expect.unreachable())
    const error = await failureOf(ask())
    expect([error.code, error.status]).toEqual(['authorization_server_invalid_response', 502])
    expect(error.options.reason).toBeTruthy()
    expect(error.cause).toBeUndefined()
  })
})
