import { deriveFrom } from '../../base/derived.ts'
import { KeyFault, keyFaultOf } from '../../base/private-key.ts'
import { oneOf, secret } from '../../base/scalars.ts'
import type { Secret } from '../../base/secret.ts'
import { addSignedAssertion, assertionOptions } from './assertion.ts'
import { defineClientAuthMethod } from './define.ts'

/** Bytes of each hash: the secret has at least as many, or guessing it is easier than breaking the signature. */
const hashBytes = { HS256: 32, HS384: 48, HS512: 64 } as const

interface KeyOptions {
  readonly client_secret: Secret
  readonly token_endpoint_auth_signing_alg: keyof typeof hashBytes
}

/** The secret as it is now; one that is too short by the time it changes is not used. @throws {KeyFault} */
function createKey({ client_secret: clientSecret, token_endpoint_auth_signing_alg: alg }: KeyOptions) {
  return deriveFrom({ text: clientSecret }, ({ text }) => {
    const [bytes, needed] = [Buffer.byteLength(text), hashBytes[alg]]
    if (bytes < needed)
      throw new KeyFault(
        'client_secret',
        `has ${bytes} ${bytes === 1 ? 'byte' : 'bytes'}, and ${alg} needs ${needed} at least (RFC 7518 section 3.2)`,
      )
    return text
  })
}

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
  findFault: (options) => keyFaultOf(() => createKey(options)),
  describe: ({ token_endpoint_auth_signing_alg }) => ({ token_endpoint_auth_signing_alg }),
  create(options) {
    const key = createKey(options)
    return {
      identify: key.recent,
      secret: options.client_secret,
      fault: key.fault,
      authenticate: (server, client, body) =>
        addSignedAssertion(body, {
          ...{ server, client, options, key: Buffer.from(key.read()) },
          alg: options.token_endpoint_auth_signing_alg,
        }),
    }
  },
})
