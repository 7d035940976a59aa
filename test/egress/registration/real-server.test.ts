import { generateKeyPairSync } from 'node:crypto'
import { expect, test } from 'vitest'
import { startAuthorizationServer } from '../../harness/authorization-server.ts'
import { testAuthority, testCertificate } from '../../harness/certificates.ts'
import { startGateway } from '../../harness/gateway.ts'
import { registerSecret } from '../../harness/secrets.ts'
import { startUpstream } from '../../harness/upstream.ts'
import { createKeeper } from '../../proxy/keep.ts'
import { anyKey, createFolder, statusOf } from './registering-gateway.ts'

const { keep } = createKeeper()

const key = (type: 'ec' | 'rsa') =>
  registerSecret(
    String(
      (type === 'ec'
        ? generateKeyPairSync('ec', { namedCurve: 'P-384' })
        : generateKeyPairSync('rsa', { modulusLength: 2048 })
      ).privateKey.export({ type: 'pkcs8', format: 'pem' }),
    ),
  )

const selfSigned = testCertificate('self-signed')

const rows: readonly [string, object][] = [
  ['client_secret_basic', {}],
  ['client_secret_post', {}],
  ['client_secret_jwt', { token_endpoint_auth_signing_alg: 'HS512' }],
  ['private_key_jwt', { private_key: key('ec') }],
  ['private_key_jwt', { private_key: key('rsa'), token_endpoint_auth_signing_alg: 'PS256', key_id: 'one' }],
  ['self_signed_tls_client_auth', { tls: { certificate: selfSigned.certificate, private_key: selfSigned.privateKey } }],
]

test.each(rows)('a client registers at a real server by %s and gets its tokens', async (method, keys) => {
  const sso = await keep(startAuthorizationServer({ registration: {}, tls: {} }))
  const upstream = await keep(startUpstream())
  const { file } = await keep(createFolder())
  const parts = {
    authorization_servers: { sso: { issuer: sso.issuer, tls: { ca: testAuthority } } },
    clients: {
      legacy: {
        authorization_server: 'sso',
        token_endpoint_auth_method: method,
        scope: 'customer.read',
        registration: { metadata: { redirect_uris: [], response_types: [] } },
        ...keys,
      },
    },
    registrations: { file, encryption_keys: [anyKey] },
    routes: [{ path: '/**', callers: { networks: ['loopback'] }, token: { client: 'legacy' }, upstream: upstream.url }],
  }
  const gateway = await keep(startGateway(JSON.stringify(parts)))
  expect(await statusOf(gateway)).toBe(200)
  expect(gateway.log.find({ level: 'warn' })).toEqual([])
  expect(upstream.requests[0]?.headers.authorization).toMatch(/^Bearer eyJ/)
  expect(sso.requestsTo('registration')).toHaveLength(1)
})
