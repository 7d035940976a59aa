import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { AuthorizationServer } from '../../src/authorization-server/authorization-server.ts'
import { Substituted } from '../../src/base/substituted.ts'
import { answerBroken, answerNever, answerWith } from '../harness/authorization-server.ts'
import { createTestClock } from '../harness/clock.ts'
import { createSecret, registerSecret } from '../harness/secrets.ts'
import { startUpstream, type Upstream, type UpstreamHandler } from '../harness/upstream.ts'
import { askAs, createServer, failureOf, printed } from './asking.ts'

/** For servers that answer, and for those that keep silent. */
const [patience, impatience] = [5000, 200]
const secret = createSecret()
const token = createSecret()
const client = { client_id: 'service', client_secret: secret }
const good = { access_token: token, token_type: 'Bearer', expires_in: 300 }

let endpoint: Upstream
let server: AuthorizationServer
let impatient: AuthorizationServer

beforeAll(async () => {
  endpoint = await startUpstream()
  const asking = (timeout: number) =>
    createServer({ token_endpoint: `${endpoint.url}/oauth2/token`, timeout: `${timeout}ms` })
  server = asking(patience)
  impatient = asking(impatience)
})
afterEach(() => endpoint.answer(answerWith(200, good)))
afterAll(() => Promise.all([endpoint.stop(), server.close(), impatient.close()]))

const lastRequest = () => endpoint.requests.at(-1) ?? expect.unreachable('nothing arrived')

describe('requests and answers of servers that there are', () => {
  /** Made like a JWT, and registered: neither a log nor an error may have it. */
  const jwt = () => registerSecret(`eyJraWQiOiJhMmY3N2Q3In0.eyJzdWIiOiJhIn0.${createSecret()}`)

  it('Spring Authorization Server: a form, and the scope comes back in another order', async () => {
    const answer = {
      access_token: jwt(),
      scope: 'customer.read customer.write country.read',
      token_type: 'Bearer',
      expires_in: 14399,
    }
    endpoint.answer(answerWith(200, answer))
    const issued = await askAs(
      server,
      {
        client_id: 'service-client-jwt',
        client_secret: registerSecret('service-client-jwt-secret'),
        token_endpoint_auth_method: 'client_secret_post',
      },
      [['scope', 'country.read customer.read customer.write']],
    )
    expect(issued).toEqual({ accessToken: answer.access_token, scope: answer.scope, expiresIn: 14399 })
    const { method, url, headers, body } = lastRequest()
    expect([method, url]).toEqual(['POST', '/oauth2/token'])
    expect(headers['content-type']).toBe('application/x-www-form-urlencoded;charset=UTF-8')
    expect(headers.accept).toBe('application/json')
    expect(headers.authorization).toBeUndefined()
    expect(headers['user-agent']).toMatch(/^scopegate\/\d/)
    const fields = Object.fromEntries(new URLSearchParams(body().toString()))
    expect(fields).toEqual({
      grant_type: 'client_credentials',
      client_id: 'service-client-jwt',
      client_secret: 'service-client-jwt-secret',
      scope: 'country.read customer.read customer.write',
    })
    expect(body().toString()).toContain('scope=country.read+customer.read+customer.write')
  })

  it('Keycloak: refresh_expires_in of 0 and not-before-policy are nothing to us', async () => {
    const answer = {
      access_token: jwt(),
      expires_in: 300,
      refresh_expires_in: 0,
      token_type: 'Bearer',
      'not-before-policy': 0,
      scope: 'email profile',
    }
    endpoint.answer(answerWith(200, answer))
    const keycloakSecret = createSecret()
    const issued = await askAs(server, {
      client_id: 'archival-service',
      client_secret: keycloakSecret,
      token_endpoint_auth_method: 'client_secret_post',
    })
    expect(issued).toEqual({ accessToken: answer.access_token, scope: 'email profile', expiresIn: 300 })
    expect(lastRequest().body().toString()).toBe(
      `grant_type=client_credentials&client_id=archival-service&client_secret=${keycloakSecret}`,
    )
  })

  it('Cloudentity ACP: Basic, or the form, at the endpoint of a workspace', async () => {
    const acp = createServer({ token_endpoint: `${endpoint.url}/tenant/workspace/oauth2/token` })
    const acpClient = { client_id: 'c130gh0r9p8bmb8r50', client_secret: createSecret() }
    const scope = [['scope', 'introspect_tokens revoke_tokens']] as const
    endpoint.answer(answerWith(200, { ...good, scope: 'introspect_tokens revoke_tokens', expires_in: 3600 }))
    expect((await askAs(acp, acpClient, scope)).accessToken).toBe(token)
    const credentials = Buffer.from(`${acpClient.client_id}:${acpClient.client_secret}`).toString('base64')
    expect(lastRequest()).toMatchObject({
      url: '/tenant/workspace/oauth2/token',
      headers: { authorization: `Basic ${credentials}` },
    })
    expect(lastRequest().body().toString()).toBe('scope=introspect_tokens+revoke_tokens&grant_type=client_credentials')
    await askAs(acp, { ...acpClient, token_endpoint_auth_method: 'client_secret_post' }, scope)
    expect(lastRequest().headers.authorization).toBeUndefined()
    expect(lastRequest().body().toString()).toContain(`client_secret=${acpClient.client_secret}`)
    await acp.close()
  })

  it('Airlock IAM: Basic, and a token of five hours', async () => {
    const answer = { access_token: jwt(), scope: 'client-scope', token_type: 'Bearer', expires_in: 18000 }
    endpoint.answer(answerWith(200, answer))
    const airlockClient = { client_id: '5572a786-010e-48a3-8c87-0d94d263f3b9', client_secret: createSecret() }
    const issued = await askAs(server, airlockClient, [['scope', 'client-scope']])
    expect(issued).toEqual({ accessToken: answer.access_token, scope: 'client-scope', expiresIn: 18000 })
    const credentials = Buffer.from(`${airlockClient.client_id}:${airlockClient.client_secret}`).toString('base64')
    expect(lastRequest().headers.authorization).toBe(`Basic ${credentials}`)
    expect(lastRequest().body().toString()).toBe('scope=client-scope&grant_type=client_credentials')
  })

  it('audience, resource and further parameters arrive as they stand, repeated ones in their order', async () => {
    await askAs(server, client, [
      ['audience', 'https://a.example'],
      ['resource', 'https://b.example/?q=1&r=ü'],
      ['resource', 'https://c.example'],
      ['x', 'a b&c'],
    ])
    expect(lastRequest().body().toString()).toBe(
      'audience=https%3A%2F%2Fa.example&resource=https%3A%2F%2Fb.example%2F%3Fq%3D1%26r%3D%C3%BC&resource=https%3A%2F%2Fc.example&x=a+b%26c&grant_type=client_credentials',
    )
  })
})

describe('an answer that is a token', () => {
  const answers: Record<string, [answer: unknown, expected: unknown]> = {
    'a token_type in any letter case': [{ ...good, token_type: 'bEARER' }, { expiresIn: 300 }],
    'expires_in as text': [{ ...good, expires_in: '3600' }, { expiresIn: 3600 }],
    'expires_in as a fraction': [{ ...good, expires_in: 59.5 }, { expiresIn: 59.5 }],
    'no expires_in': [{ ...good, expires_in: undefined }, { expiresIn: undefined }],
    'expires_in null, scope null': [{ ...good, expires_in: null, scope: null }, { expiresIn: undefined }],
    'expires_in of 0': [{ ...good, expires_in: 0 }, { expiresIn: 0 }],
    'a negative expires_in': [{ ...good, expires_in: -30 }, { expiresIn: -30 }],
    'a negative expires_in as text': [{ ...good, expires_in: '-30' }, { expiresIn: -30 }],
    'an id_token and a refresh_token beside it': [
      { ...good, id_token: 'not.a.jwt', refresh_token: 'r', unknown: [1] },
      { expiresIn: 300 },
    ],
    'a token of 16 KiB': [{ ...good, access_token: `${token}${'a'.repeat(16_384)}` }, { expiresIn: 300 }],
  }

  for (const [what, [answer, expected]] of Object.entries(answers)) {
    it(what, async () => {
      endpoint.answer(answerWith(200, answer))
      const issued = await askAs(server, client)
      expect(issued).toMatchObject({ ...Object(expected), scope: undefined })
      expect(issued.accessToken.startsWith(token)).toBe(true)
    })
  }

  it('JSON under another content type', async () => {
    endpoint.answer(answerWith(200, JSON.stringify(good), { 'content-type': 'text/plain' }))
    expect(await askAs(server, client)).toMatchObject({ accessToken: token })
  })
})

type Row = readonly [code: string, status: number, reason: RegExp, answer: UpstreamHandler]

const invalid = 'authorization_server_invalid_response'
const refused = 'authorization_server_refused'
const unavailable = 'authorization_server_unavailable'
const answering = (answer: object) => answerWith(200, { ...good, ...answer })
const refusing = (error: unknown, more: object = {}, status = 400) => answerWith(status, { error, ...more })
const noToken = /no bearer token/
const silence = /token: TIMEOUT$/
const noOAuthError = /without an OAuth error/

/** Begins an answer and then sends without end. */
const endless: UpstreamHandler = (request, response) => {
  request.resume()
  response.writeHead(200, { 'content-type': 'application/json' })
  const chunk = Buffer.alloc(64 * 1024, ' ')
  let left = 50 * 1024 * 1024
  const send = () => {
    while (left > 0 && !response.destroyed) {
      left -= chunk.length
      if (!response.write(chunk)) return void response.once('drain', send)
    }
    response.end()
  }
  send()
}

const stalling: UpstreamHandler = (request, response) => {
  request.resume()
  response.writeHead(200, { 'content-type': 'application/json' }).write('{"access_token":')
}

const rows: Record<string, Row> = {
  'a page in HTML': [invalid, 502, /no JSON/, answerWith(200, '<html>Welcome</html>')],
  'nothing at all': [invalid, 502, /no JSON/, answerWith(200, '')],
  'a list': [invalid, 502, noToken, answerWith(200, [good])],
  'a bare string': [invalid, 502, /no JSON/, answerWith(200, '"token"')],
  null: [invalid, 502, /no JSON/, answerWith(200, 'null')],
  'JSON that breaks off': [invalid, 502, /no JSON/, answerWith(200, `{"access_token":"${token}"`)],
  'a redirect': [invalid, 502, noOAuthError, answerWith(302, '', { location: '/elsewhere' })],
  'a redirect that keeps the method': [invalid, 502, noOAuthError, answerWith(307, '', { location: '/elsewhere' })],
  'status 201': [invalid, 502, noOAuthError, answerWith(201, good)],
  'status 204': [invalid, 502, noOAuthError, answerWith(204, '')],
  'status 205': [invalid, 502, noOAuthError, answerWith(205, '')],
  'status 304': [invalid, 502, noOAuthError, answerWith(304, '')],
  'status 600': [invalid, 502, /status is 600/, answerWith(600, '')],
  'status 404 with a page': [invalid, 502, noOAuthError, answerWith(404, '<h1>Not found</h1>')],
  'status 400 with JSON that names no error': [invalid, 502, noOAuthError, answerWith(400, { message: 'no' })],
  'status 400 with an error that is no text': [invalid, 502, noOAuthError, refusing({ code: 1 })],
  'an OAuth error with status 200': [invalid, 502, noToken, answerWith(200, { error: 'invalid_client' })],
  'no token_type': [invalid, 502, noToken, answering({ token_type: undefined })],
  'the token_type mac': [invalid, 502, noToken, answering({ token_type: 'mac' })],
  'the token_type DPoP': [invalid, 502, /not Bearer/, answering({ token_type: 'DPoP' })],
  'no access_token': [invalid, 502, noToken, answering({ access_token: undefined })],
  'an empty access_token': [invalid, 502, noToken, answering({ access_token: '' })],
  'a number for access_token': [invalid, 502, noToken, answering({ access_token: 12345678 })],
  'an access_token with a line break': [invalid, 502, /no header/, answering({ access_token: `${token}\r\nX-A: b` })],
  'an access_token with a blank': [invalid, 502, /no header/, answering({ access_token: `${token} b` })],
  'an access_token beyond ASCII': [invalid, 502, /no header/, answering({ access_token: `${token}ü` })],
  'a list for scope': [invalid, 502, noToken, answering({ scope: ['a'] })],
  'words for expires_in': [invalid, 502, /expires_in/, answering({ expires_in: 'soon' })],
  'NaN for expires_in': [invalid, 502, /expires_in/, answering({ expires_in: 'NaN' })],
  'empty text for expires_in': [invalid, 502, /expires_in/, answering({ expires_in: '' })],
  'a hexadecimal expires_in': [invalid, 502, /expires_in/, answering({ expires_in: '0x10' })],
  'an expires_in beyond all numbers': [
    invalid,
    502,
    /expires_in/,
    answerWith(200, `{"access_token":"${token}","token_type":"Bearer","expires_in":1e999}`),
  ],
  'an object for expires_in': [invalid, 502, /expires_in/, answering({ expires_in: { seconds: 5 } })],
  'a boolean for expires_in': [invalid, 502, /expires_in/, answering({ expires_in: true })],
  '50 MB': [invalid, 502, /larger than 1 MiB/, endless],
  invalid_client: [refused, 502, /401: invalid_client$/, refusing('invalid_client', {}, 401)],
  'invalid_scope, with a description': [
    refused,
    502,
    /400: invalid_scope \(no such scope\)$/,
    refusing('invalid_scope', { error_description: 'no such scope' }),
  ],
  'a description that quotes the secret': [
    refused,
    502,
    /\(the secret \[redacted\] is wrong\)$/,
    refusing('invalid_client', { error_description: `the secret ${secret} is wrong` }),
  ],
  'a description that quotes the header': [
    refused,
    502,
    /\(got Basic \[redacted\]\)$/,
    (request, response) =>
      refusing('invalid_client', { error_description: `got ${request.headers.authorization}` })(request, response),
  ],
  'an error that is the secret': [refused, 502, /400: \[redacted\]$/, refusing(secret)],
  'a description in many lines': [
    refused,
    502,
    /\(a\?\?b\?\)$/,
    refusing('invalid_request', { error_description: 'a\r\nb\u0007' }),
  ],
  'a description that is no text': [
    refused,
    502,
    /400: invalid_request$/,
    refusing('invalid_request', { error_description: { secret } }),
  ],
  'a description of a megabyte': [
    refused,
    502,
    /400: invalid_request$/,
    refusing('invalid_request', { error_description: 'a'.repeat(1_000_000) }),
  ],
  'status 500': [unavailable, 503, /answered 500$/, answerWith(500, '<h1>Oops</h1>')],
  'status 502 from a proxy': [unavailable, 503, /answered 502$/, answerWith(502, 'Bad gateway')],
  'status 503 with an OAuth error': [unavailable, 503, /answered 503$/, refusing('temporarily_unavailable', {}, 503)],
  'status 429': [unavailable, 503, /answered 429$/, refusing('slow_down', {}, 429)],
  'a connection that breaks': [unavailable, 503, /token: ECONNRESET$/, answerBroken],
  'a connection that breaks in the middle': [
    unavailable,
    503,
    /token: INCOMPLETE$/,
    (request, response) => {
      request.resume()
      response.writeHead(200, { 'content-length': 100 }).write('{')
      setImmediate(() => response.destroy())
    },
  ],
  silence: [unavailable, 503, silence, answerNever],
  'silence in the middle': [unavailable, 503, silence, stalling],
}

describe('an answer that is no token', () => {
  for (const [what, [code, status, reason, answer]] of Object.entries(rows)) {
    it(`${what}: ${status} ${code}`, async () => {
      endpoint.answer(answer)
      const [before, startedAt] = [endpoint.requests.length, performance.now()]
      const error = await failureOf(askAs(reason === silence ? impatient : server, client))
      expect([error.code, error.status]).toEqual([code, status])
      expect(error.options.reason).toMatch(reason)
      expect(performance.now() - startedAt).toBeLessThan(3000)
      expect(endpoint.requests.length - before, 'nothing is retried or followed').toBe(1)
      expect(printed(error)).not.toContain(secret)
      expect(printed(error)).not.toContain(token)
      expect(error.cause).toBeUndefined()
    })
  }

  it('nobody there: 503', async () => {
    const gone = await startUpstream()
    await gone.stop()
    const nobody = createServer({ token_endpoint: `${gone.url}/token?key=abc` })
    const error = await failureOf(askAs(nobody, client))
    expect([error.code, error.options.retryAfterSeconds]).toEqual([unavailable, 1])
    expect(error.options.reason).toBe(`${gone.url}/token: ECONNREFUSED`)
    await nobody.close()
  })
})

describe('a server that quotes what it was sent', () => {
  const awkward = registerSecret('K&x<9"q&Z<t"7&L<m"4&P<w/+é')
  const posting = { client_id: 'service', client_secret: awkward, token_endpoint_auth_method: 'client_secret_post' }
  const inHtml = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('"', '&#34;')
  const inNumbers = (text: string) => text.replace(/./gsu, (letter) => `&#x${letter.codePointAt(0)?.toString(16)};`)
  const inDecimals = (text: string) => text.replace(/./gsu, (letter) => `&#${letter.codePointAt(0)};`)
  const inPercents = (text: string) =>
    Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).padStart(2, '0')}`).join('')
  const inEscapes = (text: string) =>
    text.replace(/./gs, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)
  const writings: Record<string, (text: string) => string> = {
    'for a page': inHtml,
    'for a page, twice': (text) => inHtml(inHtml(text)),
    'in numbers': inNumbers,
    'in decimal numbers': inDecimals,
    'for a URL': encodeURIComponent,
    'for a URL, every letter': inPercents,
    'for a URL in a page': (text) => inHtml(inPercents(text)),
    'for JSON': (text) => JSON.stringify(text),
    'for JSON, every letter': inEscapes,
    'in letters of another case': (text) => text.toUpperCase(),
    'for a page, with rarer names': (text) => text.replace(/[^a-z0-9]/gi, '&commat;'),
    'cut off': (text) => text.slice(0, 12),
    'without its beginning': (text) => text.slice(-12),
  }
  const describing = async (description: (sent: string) => string, client: Readonly<Record<string, unknown>>) => {
    endpoint.answer((request, response, seen) =>
      request.resume().on('end', () => {
        const form = new URLSearchParams(seen.body().toString())
        const [, basic = ''] = Buffer.from(request.headers.authorization?.slice(6) ?? '', 'base64')
          .toString()
          .split(':')
        const sent = form.get('client_secret') ?? form.get('client_assertion') ?? decodeURIComponent(basic)
        expect(sent).not.toBe('')
        refusing('invalid_request', { error_description: description(sent) })(request, response)
      }),
    )
    return (await failureOf(askAs(server, client))).options.reason
  }

  for (const [how, write] of Object.entries(writings)) {
    it(`${how}: nothing of the secret is told`, async () => {
      const reason = await describing((sent) => `bad secret: ${write(sent)}`, posting)
      expect(reason).toMatch(
        /^the token endpoint answered 400: invalid_request( \[description left out\]| \(bad secret: \[redacted\]\))$/,
      )
    })
  }

  it('once as it is and once for a page: nothing is told, though the one is found', async () => {
    const reason = await describing((sent) => `${sent} is not ${inHtml(sent)}`, posting)
    expect(reason).toMatch(/invalid_request \[description left out\]$/)
  })

  it('an error of its own that is the secret for a page', async () => {
    endpoint.answer(refusing(inHtml('Kx9&q<Zt7&Lm4&Pw8')))
    const client = { ...posting, client_secret: registerSecret('Kx9&q<Zt7&Lm4&Pw8') }
    expect((await failureOf(askAs(server, client))).options.reason).toMatch(/400: \[redacted\]$/)
  })

  it('what it says otherwise stays', async () => {
    const reason = await describing(() => 'the scope a&b is <unknown>, 100% sure', posting)
    expect(reason).toMatch(/invalid_request \(the scope a&b is <unknown>, 100% sure\)$/)
  })

  for (const method of ['client_secret_post', 'client_secret_basic']) {
    it(`and has it by ${method}, which by then has changed: neither of both is told`, async () => {
      const [sent, later] = [registerSecret('correct-horse-battery'), registerSecret('four words more of it')]
      let now: string = sent
      const client_secret = new Substituted(() => now, { fromFile: true, hasDefault: false })
      const changing = { client_id: 'service', client_secret, token_endpoint_auth_method: method }
      const reason = await describing((quoted) => {
        now = later
        return `${quoted} is not ${later}`
      }, changing)
      expect(reason).toMatch(/invalid_request \(\[redacted\] is not \[redacted\]\)$/)
    })
  }

  it('an assertion of the workload', async () => {
    const assertion = registerSecret(`eyJh.${Buffer.from('{"sub":"me"}').toString('base64url')}.c2ln`)
    const workload = { client_id: 'w', token_endpoint_auth_method: 'client_assertion', client_assertion: assertion }
    const reason = await describing((sent) => `what is ${sent.replaceAll('.', ' dot ')}?`, workload)
    expect(reason).toMatch(/invalid_request \[description left out\]$/)
  })

  it('a header that is too short to be taken for a credential', async () => {
    endpoint.answer((request, response) =>
      refusing('invalid_client', { error_description: `got ${request.headers.authorization}` })(request, response),
    )
    const error = await failureOf(askAs(server, { client_id: 'x', client_secret: 'pw7' }))
    expect(error.options.reason).toMatch(/\(got Basic \[redacted\]\)$/)
  })
})

describe('Retry-After', () => {
  const clock = createTestClock(Date.UTC(2026, 0, 1))
  const pauses: Record<string, [header: string | undefined, seconds: number]> = {
    'in seconds': ['30', 30],
    'as a date': ['Thu, 01 Jan 2026 00:00:45 GMT', 45],
    'as a date that is over': ['Wed, 31 Dec 2025 00:00:00 GMT', 1],
    'not there': [undefined, 1],
    'of zero': ['0', 1],
    'below zero': ['-5', 1],
    'of a year': ['31536000', 300],
    'beyond all numbers': ['9'.repeat(400), 300],
    'that is nonsense': ['as soon as you like', 1],
  }

  for (const status of [429, 503]) {
    for (const [what, [header, seconds]] of Object.entries(pauses)) {
      it(`${what}, with ${status}: ${seconds} s`, async () => {
        endpoint.answer(answerWith(status, 'busy', header === undefined ? {} : { 'retry-after': header }))
        const timed = createServer({ token_endpoint: `${endpoint.url}/token` }, clock)
        expect((await failureOf(askAs(timed, client))).options.retryAfterSeconds).toBe(seconds)
        await timed.close()
      })
    }
  }
})
