import { createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { ClientMetadata } from 'oidc-provider'
import { type TestCertificate, testCertificate } from '../../harness/certificates.ts'
import { createSecret, registerSecret } from '../../harness/secrets.ts'
import { signedAssertion } from './signed-assertion.ts'

/** One way to use a method, as the real authorization server is asked with it. */
export interface MethodRow {
  readonly method: string
  /** What is special about it, as the README's table says. */
  readonly variant: string
  prepare(clientId: string): PreparedClient
}

type Configured = Readonly<Record<string, unknown>>

export interface PreparedClient {
  /** What the server knows of it. */
  readonly registered: Omit<ClientMetadata, 'client_id'>
  /** What the configuration says, beside the method's name. */
  readonly configured: Configured | ((issuer: string) => Configured | Promise<Configured>)
}

const rsaKey = once(() => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey)
const ecKey = once((curve: string) => generateKeyPairSync('ec', { namedCurve: curve }).privateKey)
const edKey = once(() => generateKeyPairSync('ed25519').privateKey)

/** Making a key takes its time: one of a kind is enough. */
function once<Argument extends string | undefined>(make: (argument: Argument) => KeyObject) {
  const made = new Map<Argument, KeyObject>()
  return (argument: Argument) => {
    const key = made.get(argument) ?? make(argument)
    made.set(argument, key)
    return key
  }
}

const passphrase = registerSecret('the passphrase of a test key')

/** Characters on which the two encodings of HTTP Basic differ. */
const awkwardSecret = () => `${createSecret()}:+ %/=&`

export function keyFor(alg: string): KeyObject {
  if (alg.startsWith('Ed')) return edKey(undefined)
  const curves: Record<string, string> = { ES256: 'P-256', ES384: 'P-384', ES512: 'P-521' }
  return curves[alg] ? ecKey(curves[alg]) : rsaKey(undefined)
}

export function publicJwk(key: KeyObject): JsonWebKey {
  return createPublicKey(key).export({ format: 'jwk' })
}

interface PemOptions {
  readonly type?: 'pkcs8' | 'pkcs1' | 'sec1'
  readonly cipher?: string
  readonly passphrase?: string
}

export function pem(key: KeyObject, { type = 'pkcs8', ...encryption }: PemOptions = {}): string {
  return registerSecret(String(key.export({ format: 'pem', type, ...encryption })))
}

const secretRow = (method: string, variant: string, options: Record<string, unknown> = {}, secret = createSecret) => ({
  method,
  variant,
  prepare() {
    const client_secret = secret()
    return {
      registered: { token_endpoint_auth_method: method as 'client_secret_basic', client_secret },
      configured: { client_secret, ...options },
    }
  },
})

const hmacRow = (alg: 'HS256' | 'HS384' | 'HS512'): MethodRow => ({
  method: 'client_secret_jwt',
  variant: alg,
  prepare() {
    const client_secret = registerSecret(createSecret() + createSecret())
    return {
      registered: {
        token_endpoint_auth_method: 'client_secret_jwt',
        token_endpoint_auth_signing_alg: alg,
        client_secret,
      },
      configured: { client_secret, token_endpoint_auth_signing_alg: alg },
    }
  },
})

interface KeyRow {
  readonly alg: string
  readonly key?: (key: KeyObject) => string
  readonly jwk?: JsonWebKey
  readonly options?: Record<string, unknown> | ((issuer: string) => Record<string, unknown>)
}

const keyRow = (variant: string, { alg, key = pem, jwk, options = {} }: KeyRow): MethodRow => ({
  method: 'private_key_jwt',
  variant,
  prepare: () => ({
    registered: {
      token_endpoint_auth_method: 'private_key_jwt',
      token_endpoint_auth_signing_alg: alg as 'RS256',
      jwks: { keys: [{ ...publicJwk(keyFor(alg)), ...jwk }] } as NonNullable<ClientMetadata['jwks']>,
    },
    configured: (issuer) => ({
      private_key: key(keyFor(alg)),
      ...(typeof options === 'function' ? options(issuer) : options),
    }),
  }),
})

const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

const tlsOf = ({ certificate, privateKey }: TestCertificate) => ({ tls: { certificate, private_key: privateKey } })

const tlsRow = (variant: string, subject: Partial<ClientMetadata>): MethodRow => ({
  method: 'tls_client_auth',
  variant,
  prepare: () => ({
    registered: { token_endpoint_auth_method: 'tls_client_auth', ...subject },
    configured: tlsOf(testCertificate('client')),
  }),
})

/** The server's certificate in a JWK set, as RFC 8705 section 2.2.2 has it. */
export function certificateJwk({ x509 }: TestCertificate): NonNullable<ClientMetadata['jwks']> {
  const jwk = { ...x509.publicKey.export({ format: 'jwk' }), x5c: [x509.raw.toString('base64')] }
  return { keys: [jwk] } as NonNullable<ClientMetadata['jwks']>
}

/** Every way that is tried against the real server; the README's table is made of these. */
export const methodRows: readonly MethodRow[] = [
  secretRow('client_secret_basic', 'basic_encoding: rfc6749', {}, awkwardSecret),
  secretRow('client_secret_basic', 'basic_encoding: raw', { basic_encoding: 'raw' }),
  secretRow('client_secret_post', 'secret of any characters', {}, awkwardSecret),
  hmacRow('HS256'),
  hmacRow('HS384'),
  hmacRow('HS512'),
  ...algorithms.map((alg) => keyRow(alg, { alg, options: { token_endpoint_auth_signing_alg: alg } })),
  keyRow('PEM PKCS#8', { alg: 'ES256' }),
  keyRow('PEM PKCS#1', { alg: 'RS256', key: (key) => pem(key, { type: 'pkcs1' }) }),
  keyRow('PEM SEC1', { alg: 'ES384', key: (key) => pem(key, { type: 'sec1' }) }),
  keyRow('PEM PKCS#8 encrypted', {
    alg: 'ES256',
    key: (key) => pem(key, { cipher: 'aes-256-cbc', passphrase }),
    options: { private_key_passphrase: passphrase },
  }),
  keyRow('PEM PKCS#1 encrypted', {
    alg: 'RS256',
    key: (key) => pem(key, { type: 'pkcs1', cipher: 'aes-256-cbc', passphrase }),
    options: { private_key_passphrase: passphrase },
  }),
  keyRow('PEM in one line', { alg: 'ES256', key: (key) => registerSecret(pem(key).replaceAll('\n', '\\n')) }),
  keyRow('JWK with its kid', {
    alg: 'ES512',
    key: (key) => registerSecret(JSON.stringify({ ...key.export({ format: 'jwk' }), kid: 'own' })),
    jwk: { kid: 'own' },
  }),
  keyRow('key_id', { alg: 'RS256', jwk: { kid: 'named' }, options: { key_id: 'named' } }),
  keyRow('assertion_type: JWT', { alg: 'ES256', options: { assertion_type: 'JWT' } }),
  keyRow('assertion_type: none', { alg: 'ES256', options: { assertion_type: 'none' } }),
  keyRow('assertion_audience: token_endpoint', { alg: 'ES256', options: { assertion_audience: 'token_endpoint' } }),
  keyRow('assertion_audience as written', { alg: 'ES256', options: (issuer) => ({ assertion_audience: issuer }) }),
  {
    method: 'private_key_jwt',
    variant: 'x5t#S256',
    prepare() {
      const owner = testCertificate('self-signed')
      return {
        registered: { token_endpoint_auth_method: 'private_key_jwt', jwks: certificateJwk(owner) },
        configured: { private_key: owner.privateKey, certificate: owner.certificate },
      }
    },
  },
  tlsRow('subject', { tls_client_auth_subject_dn: 'O=scopegate,CN=mtls-client' }),
  tlsRow('DNS name', { tls_client_auth_san_dns: 'client.example.test' }),
  tlsRow('URI', { tls_client_auth_san_uri: 'spiffe://example.test/client' }),
  {
    method: 'tls_client_auth',
    variant: 'certificate-bound tokens',
    prepare: () => ({
      registered: {
        token_endpoint_auth_method: 'tls_client_auth',
        tls_client_auth_san_dns: 'client.example.test',
        tls_client_certificate_bound_access_tokens: true,
      },
      configured: { ...tlsOf(testCertificate('client')), tls_client_certificate_bound_access_tokens: true },
    }),
  },
  {
    method: 'self_signed_tls_client_auth',
    variant: 'certificate in the JWK set',
    prepare() {
      const owner = testCertificate('self-signed')
      return {
        registered: { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: certificateJwk(owner) },
        configured: tlsOf(owner),
      }
    },
  },
  {
    method: 'client_assertion',
    variant: 'jwt-bearer',
    prepare: (clientId) => ({
      registered: {
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [publicJwk(keyFor('ES256'))] } as NonNullable<ClientMetadata['jwks']>,
      },
      configured: async (issuer) => ({
        client_assertion: await signedAssertion(keyFor('ES256'), { iss: clientId, sub: clientId, aud: issuer }),
      }),
    }),
  },
  {
    method: 'none',
    variant: 'allow_unauthenticated_client: true',
    prepare: () => ({
      registered: { token_endpoint_auth_method: 'none' },
      configured: { allow_unauthenticated_client: true },
    }),
  },
]
