import { generateKeyPairSync } from 'node:crypto'
import type { ClientMetadata } from 'oidc-provider'
import { testCertificate } from '../../harness/certificates.ts'
import { createSecret, registerSecret } from '../../harness/secrets.ts'
import {
  type ClientRow,
  certificateJwk,
  jwkOf,
  jwks,
  keyFor,
  otherJwk,
  pem,
  publicJwk,
  rawSecret,
} from './method-rows.ts'
import { signedAssertion } from './signed-assertion.ts'

const longSecret = () => registerSecret(createSecret() + createSecret())

const wrongSecret = (method: 'client_secret_basic' | 'client_secret_post' | 'client_secret_jwt'): ClientRow => ({
  method,
  variant: 'another secret',
  prepare: () => ({
    registered: { token_endpoint_auth_method: method, client_secret: longSecret() },
    configured: { client_secret: longSecret() },
  }),
})

const registeredKey = (alg: string): Omit<ClientMetadata, 'client_id'> => ({
  token_endpoint_auth_method: 'private_key_jwt',
  token_endpoint_auth_signing_alg: alg as 'ES256',
  jwks: jwks(publicJwk(keyFor(alg))),
})

const wrongKey = (variant: string, configured: Record<string, unknown>): ClientRow => ({
  method: 'private_key_jwt',
  variant,
  prepare: () => ({
    registered: registeredKey('ES256'),
    configured: { private_key: pem(keyFor('ES256')), ...configured },
  }),
})

const wrongCertificate = (
  method: 'tls_client_auth' | 'self_signed_tls_client_auth',
  owner: 'stranger' | 'self-signed' | 'self-signed-other',
  variant: string,
): ClientRow => ({
  method,
  variant,
  prepare() {
    const { certificate, privateKey } = testCertificate(owner)
    return {
      registered:
        method === 'tls_client_auth'
          ? { token_endpoint_auth_method: method, tls_client_auth_subject_dn: 'O=scopegate,CN=mtls-client' }
          : { token_endpoint_auth_method: method, jwks: certificateJwk(testCertificate('self-signed')) },
      configured: { tls: { certificate, private_key: privateKey } },
    }
  },
})

const assertion = (
  variant: string,
  claims: (clientId: string, issuer: string) => Record<string, unknown>,
): ClientRow => ({
  method: 'client_assertion',
  variant,
  prepare: (clientId) => ({
    registered: registeredKey('ES256'),
    configured: async (issuer) => ({
      client_assertion: await signedAssertion(keyFor('ES256'), {
        ...{ iss: clientId, sub: clientId, aud: issuer },
        ...claims(clientId, issuer),
      }),
    }),
  }),
})

/** Credentials that the real server does not take, each wrong in one way. */
export const refusedRows: readonly ClientRow[] = [
  wrongSecret('client_secret_basic'),
  wrongSecret('client_secret_post'),
  wrongSecret('client_secret_jwt'),
  {
    method: 'client_secret_basic',
    variant: 'taken as they are, where the server decodes them',
    prepare: () => {
      const client_secret = `${createSecret()}%41`
      return {
        registered: { token_endpoint_auth_method: 'client_secret_basic', client_secret },
        configured: { client_secret, basic_encoding: 'raw' },
      }
    },
  },
  {
    method: 'client_secret_basic',
    variant: 'form-encoded, where the server wants them as they are',
    prepare: () => {
      const { known, sent } = rawSecret()
      return {
        registered: { token_endpoint_auth_method: 'client_secret_basic', client_secret: known },
        configured: { client_secret: sent },
      }
    },
  },
  {
    method: 'private_key_jwt',
    variant: 'the key_id of another key',
    prepare: () => ({
      registered: {
        ...registeredKey('ES256'),
        jwks: jwks(otherJwk('another'), { ...publicJwk(keyFor('ES256')), kid: 'own' }),
      },
      configured: { private_key: jwkOf('own')(keyFor('ES256')), key_id: 'another' },
    }),
  },
  wrongKey('another key', {
    private_key: pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
  }),
  wrongKey('another algorithm than the registered one', { private_key: pem(keyFor('RS256')) }),
  wrongKey('an audience that is not this server', { assertion_audience: 'https://elsewhere.example' }),
  wrongCertificate('tls_client_auth', 'stranger', "another subject's certificate"),
  wrongCertificate('tls_client_auth', 'self-signed', 'a certificate that no authority signed'),
  wrongCertificate('self_signed_tls_client_auth', 'self-signed-other', 'another certificate of the same name'),
  assertion('an assertion for another server', () => ({ aud: 'https://elsewhere.example' })),
  assertion('an assertion that has expired', () => ({ exp: 1_000_000_000 })),
  assertion('an assertion of another issuer', () => ({ iss: 'https://elsewhere.example' })),
  {
    method: 'none',
    variant: 'a client that has to authenticate',
    prepare: () => ({
      registered: { token_endpoint_auth_method: 'client_secret_basic', client_secret: createSecret() },
      configured: { allow_unauthenticated_client: true },
    }),
  },
]
