import { generateKeyPairSync } from 'node:crypto'
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { Substituted } from '../../../src/base/substituted.ts'
import { clientOptions, createCredential } from '../../../src/egress/client.ts'
import { createMemoryTokenCache } from '../../../src/egress/token-cache/memory.ts'
import { createTokenRequest } from '../../../src/egress/token-request.ts'
import { startBench } from '../../egress/bench.ts'
import { type AuthorizationServer, answerWith, startAuthorizationServer } from '../../harness/authorization-server.ts'
import { testCertificate } from '../../harness/certificates.ts'
import { createTestClock } from '../../harness/clock.ts'
import { moreGrants } from '../../harness/more-grants.ts'
import { createSecret } from '../../harness/secrets.ts'
import { startUpstream, type Upstream } from '../../harness/upstream.ts'
import { createServer, failureOf } from '../asking.ts'
import { pem, publicJwk } from '../client-auth/method-rows.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const key = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const otherKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const keys = { keys: [{ ...publicJwk(key), kty: 'RSA', kid: 'one' }] }

type Keys = Readonly<Record<string, unknown>>

const optionsOf = ({ grant_assertion: assertion = {}, ...client }: Keys = {}) =>
  clientOptions.parse({
    authorization_server: 'sso',
    client_id: 'gateway@project.example',
    grant: 'jwt-bearer',
    grant_assertion: { private_key: pem(key), key_id: 'one', subject: 'none', ...Object(assertion) },
    ...client,
  })

const requestOf = (server: ReturnType<typeof createServer>, client: Keys, token = {}) =>
  createTokenRequest({ name: 'a', client: optionsOf(client), server, token, cache: createMemoryTokenCache() })

describe('an assertion, on a real authorization server', () => {
  const secret = createSecret()
  let sso: AuthorizationServer
  let server: ReturnType<typeof createServer>
  beforeAll(async () => {
    const client_id = 'gateway@project.example'
    const registered = { client_id, client_secret: secret, token_endpoint_auth_method: 'client_secret_post' as const }
    sso = await startAuthorizationServer({
      clients: [{ ...registered, grant_types: [grantType] }],
      ...moreGrants(keys),
    })
    server = createServer({ issuer: sso.issuer })
  })
  afterAll(() => Promise.all([sso.stop(), server.close()]))

  const known = { token_endpoint_auth_method: 'client_secret_post', client_secret: secret }

  it('is taken, one made anew for each request', async () => {
    const request = requestOf(server, { ...known, grant_assertion: { subject: 'mike' }, scope: 'country.read' })
    for (const _ of ['one', 'two', 'three']) {
      const { accessToken, scope } = await request.send()
      expect([decodeJwt(accessToken).on_behalf_of, scope]).toEqual(['mike', 'country.read'])
    }
  })

  it.each(['issuer', 'token_endpoint'])('is meant for its %s', async (audience) => {
    const { accessToken } = await requestOf(server, { ...known, grant_assertion: { audience } }).send()
    const meant = { issuer: sso.issuer, token_endpoint: sso.tokenEndpoint }[audience]
    expect(decodeJwt(accessToken).asserted).toMatchObject({ aud: meant, iss: 'gateway@project.example' })
  })

  it('of another key is refused, and that is the client’s own trouble', async () => {
    const request = requestOf(server, { ...known, grant_assertion: { private_key: pem(otherKey) } })
    expect(await failureOf(request.send())).toMatchObject({ code: 'authorization_server_refused', ofClient: true })
  })
})

describe('what is sent', () => {
  const clock = createTestClock(1_300_815_780_000)
  let endpoint: Upstream
  let server: ReturnType<typeof createServer>
  beforeAll(async () => {
    endpoint = await startUpstream()
    server = createServer({ issuer: 'https://jwt-rp.example.net', token_endpoint: `${endpoint.url}/token` }, clock)
  })
  beforeEach(() => endpoint.answer(answerWith(200, { access_token: createSecret(), token_type: 'Bearer' })))
  afterAll(() => Promise.all([endpoint.stop(), server.close()]))

  async function sentBy(client: Keys, token = {}) {
    await requestOf(server, client, token).send()
    const seen = endpoint.requests.at(-1)
    const form = Object.fromEntries(new URLSearchParams(seen?.body().toString()))
    const { assertion = '', ...rest } = form
    return { headers: seen?.headers ?? {}, form: rest, header: decodeProtectedHeader(assertion), assertion }
  }

  it('is the claims of RFC 7523 section 4, with times and an id of their own', async () => {
    const claims = { 'http://claims.example.com/member': 'true' }
    const assertion = { issuer: 'https://jwt-idp.example.com', subject: 'mailto:mike@example.com', claims }
    const { assertion: jwt, form, header } = await sentBy({ grant_assertion: assertion })
    const now = 1_300_815_780
    expect(decodeJwt(jwt)).toEqual({
      iss: 'https://jwt-idp.example.com',
      sub: 'mailto:mike@example.com',
      aud: 'https://jwt-rp.example.net',
      iat: now,
      exp: now + 60,
      jti: expect.stringMatching(/^[\da-f-]{36}$/),
      'http://claims.example.com/member': 'true',
    })
    expect([header, form]).toEqual([{ alg: 'RS256', kid: 'one', typ: 'JWT' }, { grant_type: grantType }])
  })

  it('is what Google documents for a service account: no client_id, no sub, the scope as a claim', async () => {
    const grant_assertion = { audience: 'token_endpoint', scope_as: 'claim', lifetime: '1h' }
    const { form, assertion, headers } = await sentBy({ grant_assertion, scope: 'https://www.googleapis.com/auth/a b' })
    expect([form, headers.authorization]).toEqual([{ grant_type: grantType }, undefined])
    const { payload } = await jwtVerify(assertion, createLocalJWKSet(keys), { currentDate: new Date(clock.now()) })
    expect(Object.keys(payload).sort()).toEqual(['aud', 'exp', 'iat', 'iss', 'jti', 'scope'])
    expect(payload).toMatchObject({
      iss: 'gateway@project.example',
      scope: 'https://www.googleapis.com/auth/a b',
      aud: `${endpoint.url}/token`,
      exp: (payload.iat ?? 0) + 3600,
    })
  })

  it('is the scope of the route, where it is sent as a parameter', async () => {
    const { form, assertion } = await sentBy({}, { scopes: ['a', 'b'] })
    expect([form.scope, decodeJwt(assertion).scope]).toEqual(['a b', undefined])
  })

  it('is who the client is beside it, where the server wants that too (Box)', async () => {
    const secret = createSecret()
    const grant_assertion = {
      subject: '123',
      lifetime: '45s',
      claims: { box_sub_type: 'enterprise', roles: ['a', 'b'] },
    }
    const method = { token_endpoint_auth_method: 'client_secret_post', client_secret: secret }
    const { form, assertion } = await sentBy({ ...method, grant_assertion })
    expect(form).toEqual({ grant_type: grantType, client_id: 'gateway@project.example', client_secret: secret })
    const { exp = 0, iat, ...claims } = decodeJwt(assertion)
    expect(exp - (iat ?? 0)).toBe(45)
    expect(claims).toMatchObject({ sub: '123', box_sub_type: 'enterprise', roles: ['a', 'b'] })
  })

  it('is in no log, though the server quotes it', async () => {
    let pieces: string[] = []
    endpoint.answer((request, response, seen) => {
      request.resume().on('end', () => {
        const assertion = new URLSearchParams(seen.body().toString()).get('assertion') ?? ''
        pieces = assertion.slice(-120).match(/.{12}/g) ?? []
        answerWith(400, { error: 'invalid_grant', error_description: pieces.join(' ') })(request, response)
      })
    })
    const { options } = await failureOf(requestOf(server, {}).send())
    expect(pieces).toHaveLength(10)
    expect(pieces.filter((piece) => options.reason?.includes(piece))).toEqual([])
    expect(options.reason).toContain('400: invalid_grant')
  })

  it('is its client_id alone, if the client says so', async () => {
    const method = { token_endpoint_auth_method: 'none', allow_unauthenticated_client: true }
    expect((await sentBy(method)).form).toEqual({ grant_type: grantType, client_id: 'gateway@project.example' })
  })

  it('is the thumbprint of its certificate and no typ, where that is wished', async () => {
    const { certificate, privateKey, thumbprint } = testCertificate('self-signed')
    const grant_assertion = { private_key: privateKey, certificate, type: 'none' }
    expect((await sentBy({ grant_assertion })).header).toEqual({ alg: 'ES256', kid: 'one', 'x5t#S256': thumbprint })
  })
})

describe('which requests share a token', () => {
  const server = createServer({ issuer: 'https://a.example' })
  const cache = createMemoryTokenCache()
  afterAll(() => server.close())
  const keyOf = (grant_assertion: Keys, client: Keys = {}) =>
    createTokenRequest({
      name: 'a',
      client: optionsOf({ grant_assertion, ...client }),
      server,
      token: {},
      cache,
    }).keys()[0]

  it('those whose assertions say the same, by the same key, however it is written', () => {
    const jwk = JSON.stringify(key.export({ format: 'jwk' }))
    const claims = { a: 'x', b: ['y'] }
    expect(keyOf({ private_key: jwk, claims })).toBe(
      keyOf({ claims: { b: ['y'], a: 'x' }, issuer: 'gateway@project.example' }),
    )
  })

  it('and no others', () => {
    const { certificate, privateKey } = testCertificate('self-signed')
    const assertions = [
      {},
      { issuer: 'a' },
      { subject: 'a' },
      { subject: 'b' },
      { audience: 'token_endpoint' },
      { audience: 'a' },
      { type: 'none' },
      { lifetime: '30s' },
      { scope_as: 'claim' },
      { claims: { a: 'b' } },
      { claims: { a: ['b'] } },
      { key_id: 'two' },
      { signing_alg: 'PS256' },
      { private_key: pem(otherKey) },
      { private_key: privateKey },
      { private_key: privateKey, certificate },
    ]
    const public_client = { token_endpoint_auth_method: 'none', allow_unauthenticated_client: true }
    const all = [...assertions.map((each) => keyOf(each)), keyOf({}, public_client)]
    expect(new Set(all).size).toBe(assertions.length + 1)
  })
})

describe('a key in a file', () => {
  it('that changes is used for the next request, and a refusal of the old one is forgotten', async () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    const bench = await startBench()
    try {
      const file = { text: pem(otherKey) }
      const private_key = new Substituted(() => file.text, { fromFile: true, hasDefault: false })
      const grant_assertion = { private_key, subject: 'none', audience: 'sso' }
      const method = { grant: 'jwt-bearer', token_endpoint_auth_method: 'none', grant_assertion }
      const scoped = (scope: string) => bench.request({ client: method, route: { scopes: [scope] } })
      bench.endpoint.answer(answerWith(400, { error: 'invalid_grant' }))
      await failureOf(bench.get(scoped('a')))
      // What is wrong with the assertion is wrong with it for every scope.
      await failureOf(bench.get(scoped('b')))
      expect(bench.endpoint.requests).toHaveLength(1)
      bench.issue({ expires_in: 300 })
      file.text = pem(key)
      expect(await bench.get(scoped('a'))).toEqual([1, 'fetched'])
      const form = new URLSearchParams(bench.endpoint.requests.at(-1)?.body().toString())
      await jwtVerify(form.get('assertion') ?? '', createLocalJWKSet({ keys: [{ ...publicJwk(key), kty: 'RSA' }] }), {
        currentDate: new Date(bench.clock.now()),
      })
    } finally {
      vi.useRealTimers()
      await bench.stop()
    }
  })

  it('whose certificate has an end is told of', () => {
    const { certificate, privateKey } = testCertificate('self-signed')
    const credential = createCredential(optionsOf({ grant_assertion: { private_key: privateKey, certificate } }))
    expect(credential.expiries?.().map(({ path }) => path.join('.'))).toEqual(['grant_assertion.certificate'])
  })
})
