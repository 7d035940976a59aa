import { createPublicKey, generateKeyPairSync, type JsonWebKey, type KeyObject } from 'node:crypto'
import type { ClientMetadata } from 'oidc-provider'
import { type TestCertificate, testCertificate } from '../../harness/certificates.ts'
import { createSecret, registerSecret } from '../../harness/secrets.ts'
import { signedAssertion } from './signed-assertion.ts'

/** One way to use a method. */
export interface ClientRow<Client = PreparedClient> {
  readonly method: string
  /** What is special about it, as the README's table says. */
  readonly variant: string
  prepare(clientId: string): Client
}

/** One way to use a method, as the real authorization server is asked with it. */
export interface MethodRow extends ClientRow<GrantedClient> {
  /**
   * Where the real server's word proves nothing of what is special about it: it does not look at it, or it does not know it,
   * and then another one answers. What arrived is compared all the same.
   */
  readonly realServer?: 'does not look' | 'does not know'
}

type Configured = Readonly<Record<string, unknown>>

export interface PreparedClient {
  /** What the server knows of it. */
  readonly registered: Omit<ClientMetadata, 'client_id'>
  /** What the configuration says, beside the method's name. */
  readonly configured: Configured | ((issuer: string) => Configured | Promise<Configured>)
}

export interface GrantedClient extends PreparedClient {
  /** All that must have arrived of its authentication. */
  readonly arrives: Arrived | ((issuer: string) => Arrived)
}

/** What arrives of a client's authentication, and what it leaves in the token. */
export interface Arrived {
  /** What HTTP Basic holds. */
  readonly basic?: string
  /** The parameters of the form but the grant, the scope and the assertion. */
  readonly form: Readonly<Record<string, string>>
  /** Of the assertion. */
  readonly header?: Readonly<Record<string, unknown>>
  readonly audience?: string
  /** What the token is bound to. */
  readonly cnf?: unknown
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

/** Characters on which the encodings differ, and how a form spells them. */
const [awkward, awkwardInForm] = [':+ %/=&', '%3A%2B+%25%2F%3D%26']

const basicRow: MethodRow = {
  method: 'client_secret_basic',
  variant: 'basic_encoding: rfc6749',
  prepare(clientId) {
    const plain = createSecret()
    const client_secret = registerSecret(`${plain}${awkward}`)
    return {
      registered: { token_endpoint_auth_method: 'client_secret_basic', client_secret },
      configured: { client_secret },
      arrives: { basic: `${clientId}:${plain}${awkwardInForm}`, form: {} },
    }
  },
}

/** The real server decodes: it gets the secret that it knows if, and only if, nobody encodes this one. */
export const rawSecret = () => {
  const plain = createSecret()
  return { known: registerSecret(`${plain}${awkward}`), sent: registerSecret(`${plain}${awkwardInForm}`) }
}

const rawBasicRow: MethodRow = {
  method: 'client_secret_basic',
  variant: 'basic_encoding: raw',
  prepare(clientId) {
    const { known, sent } = rawSecret()
    return {
      registered: { token_endpoint_auth_method: 'client_secret_basic', client_secret: known },
      configured: { client_secret: sent, basic_encoding: 'raw' },
      arrives: { basic: `${clientId}:${sent}`, form: {} },
    }
  },
}

const postRow: MethodRow = {
  method: 'client_secret_post',
  variant: 'secret of any characters',
  prepare(clientId) {
    const client_secret = registerSecret(`${createSecret()}${awkward}`)
    return {
      registered: { token_endpoint_auth_method: 'client_secret_post', client_secret },
      configured: { client_secret },
      arrives: { form: { client_id: clientId, client_secret } },
    }
  },
}

const assertionForm = (clientId: string, type = 'jwt-bearer') => ({
  client_id: clientId,
  client_assertion_type: `urn:ietf:params:oauth:client-assertion-type:${type}`,
})

const typ = 'client-authentication+jwt'

const hmacRow = (alg: 'HS256' | 'HS384' | 'HS512'): MethodRow => ({
  method: 'client_secret_jwt',
  variant: alg,
  prepare(clientId) {
    const client_secret = registerSecret(createSecret() + createSecret())
    return {
      registered: {
        token_endpoint_auth_method: 'client_secret_jwt',
        token_endpoint_auth_signing_alg: alg,
        client_secret,
      },
      configured: { client_secret, token_endpoint_auth_signing_alg: alg },
      arrives: (issuer) => ({ form: assertionForm(clientId), header: { alg, typ }, audience: issuer }),
    }
  },
})

interface KeyRow extends Pick<MethodRow, 'realServer'> {
  readonly alg: string
  readonly key?: (key: KeyObject) => string
  /** The key as the server knows it, beside what is public of it. */
  readonly jwk?: JsonWebKey
  /** Other keys that the server knows the client by. */
  readonly others?: readonly JsonWebKey[]
  readonly options?: Record<string, unknown> | ((issuer: string) => Record<string, unknown>)
  /** Of the assertion, beside `alg`. */
  readonly header?: Record<string, unknown>
  readonly audience?: (issuer: string) => string
}

const keyRow = (variant: string, row: KeyRow): MethodRow => {
  const { alg, key = pem, jwk, others = [], options = {}, header = { typ }, audience = String, ...rest } = row
  return {
    method: 'private_key_jwt',
    variant,
    ...rest,
    prepare: (clientId) => ({
      registered: {
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: alg as 'RS256',
        jwks: jwks(...others, { ...publicJwk(keyFor(alg)), ...jwk }),
      },
      configured: (issuer) => ({
        private_key: key(keyFor(alg)),
        ...(typeof options === 'function' ? options(issuer) : options),
      }),
      arrives: (issuer) => ({
        form: assertionForm(clientId),
        header: { alg, ...header },
        audience: audience(issuer),
      }),
    }),
  }
}

export function jwks(...keys: JsonWebKey[]): NonNullable<ClientMetadata['jwks']> {
  return { keys } as NonNullable<ClientMetadata['jwks']>
}

/** The key as a JWK that says its own `kid`. */
export const jwkOf = (kid: string) => (key: KeyObject) =>
  registerSecret(JSON.stringify({ ...key.export({ format: 'jwk' }), kid }))

/** Somebody else's public key, under this `kid`. */
export function otherJwk(kid: string, namedCurve = 'P-256'): JsonWebKey {
  return { ...publicJwk(generateKeyPairSync('ec', { namedCurve }).privateKey), kid }
}

const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']

const tlsOf = ({ certificate, privateKey }: TestCertificate) => ({ tls: { certificate, private_key: privateKey } })

const tlsRow = (variant: string, subject: Partial<ClientMetadata>): MethodRow => ({
  method: 'tls_client_auth',
  variant,
  prepare: (clientId) => ({
    registered: { token_endpoint_auth_method: 'tls_client_auth', ...subject },
    configured: tlsOf(testCertificate('client')),
    arrives: { form: { client_id: clientId } },
  }),
})

/** The server's certificate in a JWK set, as RFC 8705 section 2.2.2 has it. */
export function certificateJwk({ x509 }: TestCertificate): NonNullable<ClientMetadata['jwks']> {
  return jwks({ ...x509.publicKey.export({ format: 'jwk' }), x5c: [x509.raw.toString('base64')] })
}

const assertionRow = (type: 'jwt-bearer' | 'jwt-spiffe', rest: Pick<MethodRow, 'realServer'> = {}): MethodRow => ({
  method: 'client_assertion',
  variant: type,
  ...rest,
  prepare: (clientId) => ({
    registered: { token_endpoint_auth_method: 'private_key_jwt', jwks: jwks(publicJwk(keyFor('ES256'))) },
    configured: async (issuer) => ({
      client_assertion: await signedAssertion(keyFor('ES256'), { iss: clientId, sub: clientId, aud: issuer }),
      ...(type === 'jwt-bearer' ? {} : { client_assertion_type: type }),
    }),
    arrives: (issuer) => ({ form: assertionForm(clientId, type), header: { alg: 'ES256' }, audience: issuer }),
  }),
})

/** Every way that is tried against the real server; the README's table is made of these. */
export const methodRows: readonly MethodRow[] = [
  basicRow,
  rawBasicRow,
  postRow,
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
    key: jwkOf('own'),
    jwk: { kid: 'own' },
    others: [otherJwk('another', 'P-521')],
    header: { typ, kid: 'own' },
  }),
  // Under the kid of the JWK itself the server would take another key.
  keyRow('key_id', {
    alg: 'ES256',
    key: jwkOf('another'),
    jwk: { kid: 'named' },
    others: [otherJwk('another')],
    options: { key_id: 'named' },
    header: { typ, kid: 'named' },
  }),
  keyRow('assertion_type: JWT', {
    alg: 'ES256',
    options: { assertion_type: 'JWT' },
    header: { typ: 'JWT' },
    realServer: 'does not look',
  }),
  keyRow('assertion_type: none', {
    alg: 'ES256',
    options: { assertion_type: 'none' },
    header: {},
    realServer: 'does not look',
  }),
  keyRow('assertion_audience: token_endpoint', {
    alg: 'ES256',
    options: { assertion_audience: 'token_endpoint' },
    audience: (issuer) => `${issuer}/token`,
  }),
  keyRow('assertion_audience as written', {
    alg: 'ES256',
    options: (issuer) => ({ assertion_audience: `${issuer}/token` }),
    audience: (issuer) => `${issuer}/token`,
  }),
  {
    method: 'private_key_jwt',
    variant: 'x5t#S256',
    realServer: 'does not look',
    prepare(clientId) {
      const owner = testCertificate('self-signed')
      return {
        registered: { token_endpoint_auth_method: 'private_key_jwt', jwks: certificateJwk(owner) },
        configured: { private_key: owner.privateKey, certificate: owner.certificate },
        arrives: (issuer) => ({
          form: assertionForm(clientId),
          header: { alg: 'ES256', typ, 'x5t#S256': owner.thumbprint },
          audience: issuer,
        }),
      }
    },
  },
  tlsRow('subject', { tls_client_auth_subject_dn: 'O=scopegate,CN=mtls-client' }),
  tlsRow('DNS name', { tls_client_auth_san_dns: 'client.example.test' }),
  tlsRow('URI', { tls_client_auth_san_uri: 'spiffe://example.test/client' }),
  {
    method: 'tls_client_auth',
    variant: 'certificate-bound tokens',
    prepare(clientId) {
      const owner = testCertificate('client')
      return {
        registered: {
          token_endpoint_auth_method: 'tls_client_auth',
          tls_client_auth_san_dns: 'client.example.test',
          tls_client_certificate_bound_access_tokens: true,
        },
        configured: { ...tlsOf(owner), tls_client_certificate_bound_access_tokens: true },
        arrives: { form: { client_id: clientId }, cnf: { 'x5t#S256': owner.thumbprint } },
      }
    },
  },
  {
    method: 'self_signed_tls_client_auth',
    variant: 'certificate in the JWK set',
    prepare(clientId) {
      const owner = testCertificate('self-signed')
      return {
        registered: { token_endpoint_auth_method: 'self_signed_tls_client_auth', jwks: certificateJwk(owner) },
        configured: tlsOf(owner),
        arrives: { form: { client_id: clientId } },
      }
    },
  },
  assertionRow('jwt-bearer'),
  assertionRow('jwt-spiffe', { realServer: 'does not know' }),
  {
    method: 'none',
    variant: 'allow_unauthenticated_client: true',
    prepare: (clientId) => ({
      registered: { token_endpoint_auth_method: 'none' },
      configured: { allow_unauthenticated_client: true },
      arrives: { form: { client_id: clientId } },
    }),
  },
]
