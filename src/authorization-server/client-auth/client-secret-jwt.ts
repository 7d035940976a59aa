import { oneOf, secret } from '../../base/scalars.ts'
import { addSignedAssertion, assertionOptions } from './assertion.ts'
import { defineClientAuthMethod } from './define.ts'

/** Bytes of each hash: the secret has at least as many, or guessing it is easier than breaking the signature. */
const hashBytes = { HS256: 32, HS384: 48, HS512: 64 } as const

/**
 * An assertion signed with the secret, which itself is never sent.
 * @see https://openid.net/specs/openid-connect-core-1_0.html#ClientAuthentication
 */
export const clientSecretJwt = defineClientAuthMethod({
  name: 'client_secret_jwt',
  summary: 'an assertion signed with the secret, which itself is never sent',
  options: {
    client_secret: secret().describe("the client's secret"),
    token_endpoint_auth_signing_alg: oneOf('HS256', 'HS384', 'HS512')
      .prefault('HS256')
      .describe('how the assertion is signed; the secret is at least as long as the hash'),
    ...assertionOptions,
  },
  findFault({ client_secret: clientSecret, token_endpoint_auth_signing_alg: alg }) {
    const [bytes, needed] = [Buffer.byteLength(clientSecret.read()), hashBytes[alg]]
    if (bytes >= needed) return undefined
    const message = `has ${bytes} bytes, and ${alg} needs ${needed} at least (RFC 7518 section 3.2)`
    return { path: ['client_secret'], message }
  },
  create({ client_secret: clientSecret, token_endpoint_auth_signing_alg: alg, ...options }) {
    return {
      identify: () => clientSecret.recent(),
      secret: clientSecret,
      authenticate: (server, client, body) =>
        addSignedAssertion(body, { server, client, key: Buffer.from(clientSecret.read()), alg, options }),
    }
  },
})
