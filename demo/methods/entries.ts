import {
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
  randomUUID,
  X509Certificate,
} from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import type { ClientMetadata } from 'oidc-provider'
import type { clientAuthMethods } from '../../src/authorization-server/client-auth/index.ts'
import { certificateFile } from './mutual-tls.ts'

export type MethodName = (typeof clientAuthMethods)[number]['name']

/** Where a client of the demo lives. */
interface Home {
  readonly clientId: string
  /** The environment variable that its secret stands in, if it has one. */
  readonly variable: string
  /** For its files. */
  readonly folder: string
}

/** One client, as both sides know it. */
export interface MethodClient {
  /** At the authorization server. */
  readonly registered: Partial<ClientMetadata>
  /** Its keys in the gateway's configuration, beside the method's name. */
  readonly written: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  /** What a token request of it must have looked like, by `describeCredential`. */
  readonly seen: string
  /** Writes what can only be written when it is known who the authorization server is. */
  readonly begin?: (issuer: string) => Promise<void>
}

/** As YAML, whatever the folders are called. */
export function fromFile(file: string): string {
  return JSON.stringify(`\${file:${file}}`)
}

const secretClient = ({ variable }: Home, seen: string): MethodClient => {
  const client_secret = randomBytes(32).toString('base64url')
  return {
    registered: { client_secret },
    written: [`client_secret: \${env:${variable}}`],
    environment: { [variable]: client_secret },
    seen,
  }
}

const tlsClient = (
  owner: 'client' | 'self-signed',
  subject: string,
  registered: Partial<ClientMetadata>,
): MethodClient => ({
  registered,
  written: [
    'tls:',
    `  certificate: ${fromFile(certificateFile(`${owner}.pem`))}`,
    `  private_key: ${fromFile(certificateFile(`${owner}.key`))}`,
  ],
  seen: `a TLS certificate, ${subject}`,
})

/** One client for each client authentication method that there is. */
export const methodEntries: Readonly<Record<MethodName, (home: Home) => MethodClient>> = {
  client_secret_basic: (home) => secretClient(home, 'Authorization: Basic …'),
  client_secret_post: (home) => secretClient(home, 'client_secret=… in the form'),
  client_secret_jwt: (home) => secretClient(home, 'an assertion, HS256, typ client-authentication+jwt'),
  private_key_jwt({ clientId, folder }) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const file = join(folder, `${clientId}.key`)
    writeFileSync(file, privateKey.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 })
    return {
      registered: { jwks: publicKeys(privateKey), token_endpoint_auth_signing_alg: 'ES256' },
      written: [`private_key: ${fromFile(file)}`],
      seen: 'an assertion, ES256, typ client-authentication+jwt',
    }
  },
  tls_client_auth: () => tlsClient('client', 'CN=legacy client', { tls_client_auth_subject_dn: 'CN=legacy client' }),
  self_signed_tls_client_auth() {
    const certificate = new X509Certificate(readFileSync(certificateFile('self-signed.pem')))
    const jwk = { ...certificate.publicKey.export({ format: 'jwk' }), x5c: [certificate.raw.toString('base64')] }
    const jwks = { keys: [jwk] } as NonNullable<ClientMetadata['jwks']>
    return tlsClient('self-signed', certificate.subject, { jwks })
  },
  client_assertion({ clientId, folder }) {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-384' })
    const file = join(folder, `${clientId}.jwt`)
    return {
      registered: {
        token_endpoint_auth_method: 'private_key_jwt',
        token_endpoint_auth_signing_alg: 'ES384',
        jwks: publicKeys(privateKey),
      },
      written: [`client_assertion: ${fromFile(file)}`],
      seen: 'an assertion, ES384, typ none',
      begin: async (issuer) => writeFileSync(file, await workloadToken(privateKey, clientId, issuer), { mode: 0o600 }),
    }
  },
  none: () => ({
    registered: {},
    written: ['allow_unauthenticated_client: true'],
    seen: 'nothing but its client_id',
  }),
}

function publicKeys(key: KeyObject): NonNullable<ClientMetadata['jwks']> {
  return { keys: [createPublicKey(key).export({ format: 'jwk' })] } as NonNullable<ClientMetadata['jwks']>
}

/** What a platform would put into the workload's file. */
function workloadToken(key: KeyObject, clientId: string, issuer: string): Promise<string> {
  return new SignJWT()
    .setProtectedHeader({ alg: 'ES384' })
    .setIssuer(clientId)
    .setSubject(clientId)
    .setAudience(issuer)
    .setJti(randomUUID())
    .setIssuedAt()
    .setExpirationTime('30d')
    .sign(key)
}
