import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest'
import {
  type AuthorizationServer,
  answerBroken,
  answerNever,
  answerWith,
  startAuthorizationServer,
} from './authorization-server.ts'
import { createSecret } from './secrets.ts'

let server: AuthorizationServer

beforeAll(async () => {
  server = await startAuthorizationServer({
    clients: [
      {
        client_id: 'poster',
        client_secret: createSecret(),
        token_endpoint_auth_method: 'client_secret_post',
        scope: 'country.read',
      },
    ],
    extraClaims: { realm_access: { roles: ['archivist'] } },
  })
})

afterEach(() => server.answer('token'))
afterAll(() => server.stop())

test('a token is a signed JWT for the audience, with the scope that was asked for', async () => {
  const token = await server.issueToken({ scope: 'customer.read country.read' })
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(server.jwksUri)), {
    issuer: server.issuer,
    audience: 'https://api.example.test',
  })
  expect(payload).toMatchObject({
    scope: 'customer.read country.read',
    client_id: 'default-client',
    realm_access: { roles: ['archivist'] },
  })
  expect(decodeProtectedHeader(token).typ).toBe('at+jwt')
})

test('a client that posts its secret gets the scope that it may have, and no other', async () => {
  await expect(server.issueToken({ clientId: 'poster', scope: 'country.read' })).resolves.toContain('.')
  await expect(server.issueToken({ clientId: 'poster', scope: 'customer.write' })).rejects.toThrow('invalid_scope')
})

test('requests are recorded with their bodies, and can be answered by the test', async () => {
  const before = server.requestsTo('token').length
  await server.issueToken({ scope: 'customer.read' })
  expect(server.requestsTo('token')).toHaveLength(before + 1)
  expect(server.requestsTo('token').at(-1)?.body().toString()).toBe('grant_type=client_credentials&scope=customer.read')
  server.answer('token', answerWith(503, '<h1>busy</h1>'))
  expect((await fetch(server.tokenEndpoint, { method: 'POST' })).status).toBe(503)
})

test('it can break the connection, and it can keep silent', async () => {
  server.answer('token', answerBroken)
  await expect(fetch(server.tokenEndpoint, { method: 'POST' })).rejects.toThrow('fetch failed')
  server.answer('token', answerNever)
  const request = fetch(server.tokenEndpoint, { method: 'POST', signal: AbortSignal.timeout(50) })
  await expect(request).rejects.toThrow('aborted due to timeout')
})

test('it can go away and come back on the same port', async () => {
  await server.stop()
  await expect(fetch(server.jwksUri)).rejects.toThrow()
  await server.restart()
  expect((await server.jwks()).keys).toHaveLength(2)
})

test('opaque tokens can be introspected', async () => {
  const opaque = await startAuthorizationServer({ tokenFormat: 'opaque' })
  onTestFinished(opaque.stop)
  const token = await opaque.issueToken({ scope: 'customer.read' })
  expect(token).not.toContain('.')
  const { client_id, client_secret } = opaque.client
  const answer = await fetch(`${opaque.issuer}/token/introspection`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`${client_id}:${client_secret}`)}` },
    body: new URLSearchParams({ token }),
  })
  expect(await answer.json()).toMatchObject({ active: true, scope: 'customer.read' })
})

test('tokens of any shape can be signed with its own key', async () => {
  const token = await server.signToken({ exp: 1, scope: ['customer.read'] }, { typ: 'JWT' })
  const keys = createRemoteJWKSet(new URL(server.jwksUri))
  const { payload } = await jwtVerify(token, keys, { issuer: server.issuer, currentDate: new Date(0) })
  expect(payload).toMatchObject({ exp: 1, scope: ['customer.read'], aud: 'https://api.example.test' })
})
