import { calculateJwkThumbprint, decodeJwt, decodeProtectedHeader } from 'jose'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { AuthorizationServer as Server } from '../../../src/authorization-server/authorization-server.ts'
import { type AuthorizationServer, answerWith, startAuthorizationServer } from '../../harness/authorization-server.ts'
import { testCertificate } from '../../harness/certificates.ts'
import { createSecret, registerSecret } from '../../harness/secrets.ts'
import { ask, connectTo, credentialOf } from './ask.ts'
import { keyFor, pem, publicJwk } from './method-rows.ts'
import { signedAssertion } from './signed-assertion.ts'

let authorizationServer: AuthorizationServer
let server: Server
beforeAll(async () => {
  authorizationServer = await startAuthorizationServer()
  authorizationServer.answer('token', answerWith(200, { access_token: 'a-token', token_type: 'Bearer' }))
  server = connectTo(authorizationServer)
})
afterAll(async () => {
  await server.close()
  await authorizationServer.stop()
})

/** The form that the server was sent, and the assertion in it. */
async function send(configured: Record<string, unknown>) {
  await ask(server, 'billing', credentialOf(configured))
  const body = authorizationServer.requestsTo('token').at(-1)?.body().toString()
  const form = new URLSearchParams(body)
  const assertion = registerSecret(form.get('client_assertion') ?? '')
  return { form, assertion, header: decodeProtectedHeader(assertion), claims: decodeJwt(assertion) }
}

const method = 'token_endpoint_auth_method'
const byKey = (more: Record<string, unknown> = {}) => ({
  [method]: 'private_key_jwt',
  private_key: pem(keyFor('ES256')),
  ...more,
})
const bySecret = (more: Record<string, unknown> = {}) => ({
  [method]: 'client_secret_jwt',
  client_secret: registerSecret(createSecret() + createSecret()),
  ...more,
})

describe('what an assertion says', () => {
  for (const [name, configured, alg] of [
    ['private_key_jwt', byKey, 'ES256'],
    ['client_secret_jwt', bySecret, 'HS256'],
  ] as const) {
    it(`${name}: the client of itself, to the issuer alone, for a minute, of the type that RFC 10070 wants`, async () => {
      const { header, claims, form } = await send(configured())
      expect(header).toEqual({ alg, typ: 'client-authentication+jwt' })
      expect(claims).toEqual({
        iss: 'billing',
        sub: 'billing',
        aud: authorizationServer.issuer,
        jti: expect.stringMatching(/^[\w-]{20,}$/),
        iat: expect.any(Number),
        exp: Number(claims.iat) + 60,
      })
      expect(Math.abs(Number(claims.iat) - Date.now() / 1000)).toBeLessThan(5)
      expect(Object.fromEntries(form)).toMatchObject({
        grant_type: 'client_credentials',
        client_id: 'billing',
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      })
      expect(form.has('client_secret')).toBe(false)
    })

    it(`${name}: what the configuration says of type and audience instead`, async () => {
      const jwt = await send(configured({ assertion_type: 'JWT', assertion_audience: 'token_endpoint' }))
      expect([jwt.header.typ, jwt.claims.aud]).toEqual(['JWT', authorizationServer.tokenEndpoint])
      const none = await send(configured({ assertion_type: 'none', assertion_audience: 'urn:somebody' }))
      expect([none.header, none.claims.aud]).toEqual([{ alg }, 'urn:somebody'])
    })

    it(`${name}: no assertion is sent twice`, async () => {
      const credential = credentialOf(configured())
      const before = authorizationServer.requestsTo('token').length
      for (let count = 0; count < 30; count++) await ask(server, 'billing', credential)
      const sent = authorizationServer.requestsTo('token').slice(before)
      const ids = sent.map(
        (seen) => decodeJwt(new URLSearchParams(seen.body().toString()).get('client_assertion') ?? '').jti,
      )
      expect(new Set(ids).size).toBe(30)
    })
  }

  it.each([
    ['RS256', 'RS256'],
    ['ES256', 'ES256'],
    ['ES384', 'ES384'],
    ['ES512', 'ES512'],
    ['Ed25519', 'EdDSA'],
  ])('a key for %s signs by %s unless told otherwise', async (kind, alg) => {
    expect((await send(byKey({ private_key: pem(keyFor(kind)) }))).header.alg).toBe(alg)
  })

  it('a JWK signs by its own algorithm and under its own key id, unless told otherwise', async () => {
    const jwk = { ...keyFor('RS256').export({ format: 'jwk' }), alg: 'PS384', kid: 'its-own' }
    const private_key = registerSecret(JSON.stringify(jwk))
    expect((await send(byKey({ private_key }))).header).toMatchObject({ alg: 'PS384', kid: 'its-own' })
    expect((await send(byKey({ private_key, key_id: 'given' }))).header).toMatchObject({ alg: 'PS384', kid: 'given' })
  })

  it('x5t#S256 is the SHA-256 of the certificate', async () => {
    const { certificate, privateKey, thumbprint } = testCertificate('client')
    const { header } = await send(byKey({ private_key: privateKey, certificate }))
    expect(header['x5t#S256']).toBe(thumbprint)
  })

  it('a SPIFFE assertion goes as it stands, with the type of its own', async () => {
    const assertion = await signedAssertion(keyFor('ES256'), { sub: 'spiffe://example.test/gateway', aud: 'x' })
    const { form } = await send({
      [method]: 'client_assertion',
      client_assertion: `${assertion}\n`,
      client_assertion_type: 'jwt-spiffe',
    })
    expect(Object.fromEntries(form)).toMatchObject({
      client_id: 'billing',
      client_assertion: assertion,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-spiffe',
    })
  })
})

describe('what tells one credential from another, for the cache key', () => {
  const identityOf = (configured: Record<string, unknown>) => credentialOf(configured).identify()

  it.each(['RS256', 'ES384', 'EdDSA'])(
    'a private key (%s): the thumbprint of its public half (RFC 7638)',
    async (alg) => {
      const key = keyFor(alg)
      expect(identityOf(byKey({ private_key: pem(key) }))).toBe(
        await calculateJwkThumbprint(publicJwk(key) as { kty: 'EC' }),
      )
    },
  )

  it('a certificate: its thumbprint, beside any other credential', () => {
    const owner = testCertificate('client')
    const tls = { certificate: owner.certificate, private_key: owner.privateKey }
    const secret = createSecret()
    const identities = [
      identityOf({ [method]: 'tls_client_auth', tls }),
      identityOf({ client_secret: secret, tls }),
      identityOf({ client_secret: secret }),
    ]
    expect(identities.slice(0, 2).every((identity) => identity.includes(owner.thumbprint))).toBe(true)
    expect(new Set(identities).size).toBe(3)
  })

  it("an assertion: iss, sub and aud, so that the workload's next one keeps its token", async () => {
    const identity = async (claims: Record<string, unknown>) =>
      identityOf({
        [method]: 'client_assertion',
        client_assertion: await signedAssertion(keyFor('ES256'), { iss: 'k8s', sub: 'gateway', aud: 'sso', ...claims }),
      })
    const first = await identity({})
    expect(await identity({ jti: 'another' })).toBe(first)
    for (const claims of [{ iss: 'other' }, { sub: 'other' }, { aud: 'other' }])
      expect(await identity(claims)).not.toBe(first)
  })
})
