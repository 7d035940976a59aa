import { decodeJwt } from 'jose'
import { expect, test } from 'vitest'
import { startAuthorizationServer } from '../../harness/authorization-server.ts'
import { startGateway } from '../../harness/gateway.ts'
import { moreGrants } from '../../harness/more-grants.ts'
import { startUpstream } from '../../harness/upstream.ts'
import { createKeeper } from '../../proxy/keep.ts'
import { anyKey, createFolder } from './registering-gateway.ts'

const { keep } = createKeeper()

test('a client that registers itself exchanges the tokens of its callers, each for one of its own', async () => {
  const sso = await keep(startAuthorizationServer({ registration: {}, ...moreGrants() }))
  const upstream = await keep(startUpstream())
  const { file } = await keep(createFolder())
  const grant_types = ['urn:ietf:params:oauth:grant-type:token-exchange', 'client_credentials']
  const metadata = { grant_types, redirect_uris: [], response_types: [] }
  const parts = {
    authorization_servers: { sso: { issuer: sso.issuer, access_tokens: { audience: 'any' } } },
    clients: { legacy: { authorization_server: 'sso', registration: { metadata } } },
    registrations: { file, encryption_keys: [anyKey] },
    routes: [
      {
        path: '/**',
        require: 'any_token',
        token: { client: 'legacy', exchange: 'subject_token' },
        upstream: upstream.url,
      },
    ],
  }
  const gateway = await keep(startGateway(JSON.stringify(parts)))
  for (const sub of ['alice', 'bob', 'alice']) {
    const authorization = `Bearer ${await sso.signToken({ sub })}`
    expect((await fetch(gateway.url, { headers: { authorization } })).status).toBe(200)
    const sent = upstream.requests.at(-1)?.headers.authorization?.replace('Bearer ', '') ?? ''
    expect(decodeJwt(sent).on_behalf_of).toBe(sub)
  }
  expect(sso.requestsTo('registration')).toHaveLength(1)
})
