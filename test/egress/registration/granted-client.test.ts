import { generateKeyPairSync } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { registerSecret } from '../../harness/secrets.ts'
import { createKeeper } from '../../proxy/keep.ts'
import { type ConfigurationWish, createFolder, startRegisteringGateway, statusOf } from './registering-gateway.ts'
import { type RegistrationServer, startRegistrationServer } from './registration-server.ts'

const { keep } = createKeeper()

let server: RegistrationServer
let file: string
beforeEach(async () => {
  server = await keep(startRegistrationServer())
  file = (await keep(createFolder())).file
})

const start = (wish: Partial<ConfigurationWish> = {}) => keep(startRegisteringGateway({ server, file, ...wish }))
const bodies = (what: 'register' | 'token') => server.requestsTo(what).map((seen) => seen.body().toString())
const registered = (): Record<string, unknown> => JSON.parse(bodies('register')[0] ?? '')
const forms = () => bodies('token').map((body) => Object.fromEntries(new URLSearchParams(body)))

const key = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const pem = registerSecret(String(key.export({ type: 'pkcs8', format: 'pem' })))

const signing = {
  token_endpoint_auth_method: 'private_key_jwt',
  private_key: pem,
  assertion_audience: 'token_endpoint',
}

describe('what is asked for', () => {
  test('is a client for client credentials, by the method that the client has', async () => {
    await statusOf(await start({ client: { scope: 'a b' } }))
    expect(registered()).toEqual({
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'client_secret_basic',
      scope: 'a b',
    })
  })

  test('is whatever the metadata says, the software statement, and the initial access token before it', async () => {
    const [statement, access] = [registerSecret('a-software-statement'), registerSecret('an-initial-access-token')]
    const metadata = {
      client_name: 'Legacy',
      'client_name#de': 'Altsystem',
      grant_types: ['client_credentials', 'urn:x'],
      contacts: ['ops@example.com'],
      require_pushed_authorization_requests: false,
      'x-tenant': { id: 5, tags: ['a'] },
    }
    const registration = { metadata, software_statement: statement, initial_access_token: access }
    await statusOf(await start({ registration }))
    expect(registered()).toEqual({
      token_endpoint_auth_method: 'client_secret_basic',
      ...metadata,
      software_statement: statement,
    })
    expect(server.requestsTo('register')[0]?.headers.authorization).toBe(`Bearer ${access}`)
  })

  test('is sent with no initial access token that would break a line of its own', async () => {
    const registration = { initial_access_token: registerSecret('an-initial\nX-Access: token') }
    const gateway = await start({ registration })
    expect(await statusOf(gateway)).toBe(502)
    expect(gateway.lastLine().reason).toBe('the initial_access_token has characters that no header takes')
    expect(bodies('register')).toEqual([])
  })

  test('is the public half of the key that the client has, and never its private one', async () => {
    await start({ client: { ...signing, key_id: 'one' } })
    await expect.poll(() => bodies('register')).toHaveLength(1)
    const { jwks, token_endpoint_auth_signing_alg: alg } = registered()
    expect(alg).toBe('ES256')
    const { x, y } = key.export({ format: 'jwk' })
    expect(jwks).toEqual({ keys: [{ kty: 'EC', crv: 'P-256', x, y, use: 'sig', alg: 'ES256', kid: 'one' }] })
  })

  test('is the place of the keys where the metadata names one', async () => {
    const registration = {
      metadata: { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: 'https://keys.example.com/jwks' },
    }
    await start({ registration, client: { private_key: pem, assertion_audience: 'token_endpoint' } })
    await expect.poll(() => bodies('register')).toHaveLength(1)
    expect(registered()).toMatchObject({ jwks_uri: 'https://keys.example.com/jwks' })
    expect(registered()).not.toHaveProperty('jwks')
  })
})

describe('what is granted', () => {
  test('with another method is used by that method', async () => {
    server.manners.granted = { token_endpoint_auth_method: 'client_secret_post' }
    await statusOf(await start())
    const [[id, { secret }] = ['', { secret: '' }]] = server.clients
    expect(forms()).toEqual([{ grant_type: 'client_credentials', client_id: id, client_secret: secret }])
    expect(server.requestsTo('token')[0]?.headers.authorization).toBeUndefined()
  })

  test.each([200, 201])('with status %i is granted', async (status) => {
    server.manners.status = status
    expect(await statusOf(await start())).toBe(200)
  })

  test('without any word of a method, a scope or an expiry is what was asked for', async () => {
    server.manners.granted = {
      token_endpoint_auth_method: undefined,
      scope: undefined,
      client_secret_expires_at: undefined,
      grant_types: undefined,
    }
    const gateway = await start({ registration: { metadata: { scope: 'a b' } } })
    expect(await statusOf(gateway)).toBe(200)
    expect(forms()).toEqual([{ grant_type: 'client_credentials', scope: 'a b' }])
    expect(gateway.log.find({ level: 'warn' })).toEqual([])
  })

  test.each([
    ['private_key_jwt', 'private_key_jwt, for which there is no private_key'],
    ['tls_client_auth', 'tls_client_auth, for which there is no tls'],
    ['none', /none: token_endpoint_auth_method is none, which RFC 6749 section 4.4 forbids/],
    ['attest_jwt_client_auth', 'the method attest_jwt_client_auth, which scopegate does not have'],
  ])('with the method %s is told to be of no use, and asked for no more', async (method, reason) => {
    server.manners.granted = { token_endpoint_auth_method: method }
    const gateway = await start()
    expect([await statusOf(gateway), await statusOf(gateway)]).toEqual([502, 502])
    expect(gateway.lastLine()).toMatchObject({ code: 'authorization_server_invalid_response' })
    expect(gateway.lastLine().reason).toEqual(
      typeof reason === 'string' ? expect.stringContaining(reason) : expect.stringMatching(reason),
    )
    expect([bodies('register').length, bodies('token').length]).toEqual([1, 0])
  })

  test('without a secret, where the method needs one, is told to be of no use', async () => {
    server.manners.granted = { client_secret: undefined }
    const gateway = await start()
    expect(await statusOf(gateway)).toBe(502)
    expect(gateway.lastLine().reason).toContain('client_secret_basic, for which there is no client_secret')
  })

  test.each([
    [
      'RS256',
      /private_key_jwt: token_endpoint_auth_signing_alg is RS256, which the private key \(EC P-256\) cannot do/,
    ],
    ['HS256', /private_key_jwt by an algorithm that it does not have here/],
  ])('with the signature algorithm %s, for another key, is told to be of no use', async (alg, reason) => {
    server.manners.granted = { token_endpoint_auth_signing_alg: alg, client_secret: undefined }
    const gateway = await start({ client: signing })
    expect(await statusOf(gateway)).toBe(502)
    expect(gateway.lastLine().reason).toMatch(reason)
  })
})

describe('scope that was not granted to the client', () => {
  const narrow = { registration: { metadata: { scope: 'strong weak' } } }
  beforeEach(() => {
    server.manners.granted = { scope: 'weak' }
  })

  test('is not asked for by a route that names it', async () => {
    expect(await statusOf(await start({ ...narrow, token: { scopes: ['strong', 'weak', 'other'] } }))).toBe(200)
    expect(forms()).toEqual([{ grant_type: 'client_credentials', scope: 'weak other' }])
  })

  test.each([
    ['and is all that a route names', { token: { scopes: ['strong'] } }],
    ['and must not be missing', { client: { scope_policy: 'exact' }, token: { scopes: ['strong', 'weak'] } }],
    ['and must not be missing, though no route names it', { client: { scope_policy: 'exact' } }],
  ])('%s is an error', async (_, wish) => {
    const gateway = await start({ ...narrow, ...wish })
    expect(await statusOf(gateway)).toBe(502)
    expect(gateway.lastLine()).toMatchObject({
      code: 'authorization_server_refused',
      reason: 'the scope granted to the registered client lacks strong',
    })
    expect(forms()).toEqual([])
  })

  test('is seen as well where the server writes a list', async () => {
    server.manners.granted = { scope: ['weak'] }
    expect(await statusOf(await start(narrow))).toBe(200)
    expect(forms()).toEqual([{ grant_type: 'client_credentials', scope: 'weak' }])
  })
})
