import { expect, test } from 'vitest'
import { answerWith } from '../../harness/authorization-server.ts'
import { registerSecret } from '../../harness/secrets.ts'
import { createKeeper } from '../../proxy/keep.ts'
import { createFolder, startRegisteringGateway, statusOf } from './registering-gateway.ts'
import { startRegistrationServer } from './registration-server.ts'

const { keep } = createKeeper()

/** A registration and a token request as the documentation of one server prints them. */
const request = {
  client_name: 'Sample Client',
  client_uri: 'https://test-client.airlock.com',
  scope: 'strong client-scope',
  token_endpoint_auth_method: 'client_secret_basic',
  redirect_uris: ['https://sample-client.airlock.com/redirectUri'],
  response_types: ['code'],
  grant_types: ['authorization_code', 'refresh_token'],
  contacts: ['Peter Sample'],
}

const answer = {
  scope: 'client-scope',
  contacts: ['Peter Sample'],
  client_id: '5572a786-010e-48a3-8c87-0d94d263f3b9',
  client_secret: registerSecret('WMKA5QLW5iuFGt5CsePYQBYbuDL8DcCD'),
  client_secret_expires_at: 0,
  client_id_issued_at: 1597332712,
  redirect_uris: ['https://test-client.airlock.com/redirectUri'],
  token_endpoint_auth_method: 'client_secret_basic',
  grant_types: ['authorization_code', 'refresh_token'],
  response_types: ['code'],
  client_name: 'Sample Client',
  client_uri: 'https://sample-client.airlock.com',
}

test('a client registers itself, is answered 200 with less scope than it asked for, and gets its token with what it was granted', async () => {
  const server = await keep(startRegistrationServer())
  const { client_id: id, client_secret: secret } = answer
  server.clients.set(id, { secret, expiresAt: 0, accessToken: '' })
  server.manners.answer = answerWith(200, answer)
  const { file } = await keep(createFolder())
  const gateway = await keep(startRegisteringGateway({ server, file, registration: { metadata: request } }))
  expect(await statusOf(gateway)).toBe(200)

  const [registration, ...more] = server.requestsTo('register')
  expect(more).toEqual([])
  expect(registration?.headers['content-type']).toBe('application/json')
  expect(registration?.headers.authorization).toBeUndefined()
  expect(JSON.parse(registration?.body().toString() ?? '')).toEqual(request)
  const [token] = server.requestsTo('token')
  const basic = registerSecret(Buffer.from(`${id}:${secret}`).toString('base64'))
  expect(token?.headers.authorization).toBe(`Basic ${basic}`)
  expect(token?.headers['content-type']).toMatch(/^application\/x-www-form-urlencoded/)
  const form = [...new URLSearchParams(token?.body().toString())].sort()
  expect(form).toEqual([
    ['grant_type', 'client_credentials'],
    ['scope', 'client-scope'],
  ])
  expect(gateway.log.find({ msg: 'narrower registration' }).map(({ reason }) => reason)).toEqual([
    'the scope granted lacks strong',
    'the grant_types granted lack client_credentials',
  ])
})
