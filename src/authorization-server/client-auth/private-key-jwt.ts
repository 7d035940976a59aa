import { createPublicKey } from 'node:crypto'
import { keyFaultOf } from '../../base/private-key.ts'
import { certificateFile, oneOf, secret, text } from '../../base/scalars.ts'
import { addSignedAssertion, assertionOptions } from './assertion.ts'
import { defineClientAuthMethod } from './define.ts'
import { createSigningKey, signingAlgorithmNames } from './signing-key.ts'

/**
 * An assertion signed with a private key, whose public half the server knows.
 * @see https://www.rfc-editor.org/rfc/rfc7523#section-2.2
 */
export const privateKeyJwt = defineClientAuthMethod({
  name: 'private_key_jwt',
  summary: 'an assertion signed with a private key, whose public half the server knows',
  options: {
    private_key: secret().describe('PEM (PKCS#8, PKCS#1, SEC1) or JWK'),
    private_key_passphrase: secret().optional().describe('if the key is encrypted'),
    token_endpoint_auth_signing_alg: oneOf(...signingAlgorithmNames)
      .optional()
      .describe(
        'how the assertion is signed; default is HS256 with a secret, else it follows from the key: RS256, ES256, ES384, ES512 or EdDSA',
      ),
    key_id: text().optional().describe("`kid` of the assertion; default is the JWK's own"),
    certificate: certificateFile().optional().describe('PEM, for servers that know the key by its `x5t#S256`'),
    ...assertionOptions,
  },
  findFault: (options) => keyFaultOf(() => createSigningKey(options)),
  describe(options) {
    const { key, alg, kid } = createSigningKey(options).read()
    const jwk = createPublicKey(key).export({ format: 'jwk' })
    return {
      jwks: { keys: [{ ...jwk, use: 'sig', alg, ...(kid !== undefined && { kid }) }] },
      token_endpoint_auth_signing_alg: alg,
    }
  },
  create(options) {
    const signingKey = createSigningKey(options)
    return {
      identify: () => signingKey.recent().thumbprint,
      fault: signingKey.fault,
      expiries() {
        const { certificate } = signingKey.recent()
        return certificate ? [{ path: ['certificate'], at: certificate.expiresAt }] : []
      },
      authenticate(server, client, body) {
        const { certificate, ...signing } = signingKey.read()
        return addSignedAssertion(body, {
          ...{ server, client, options, ...signing },
          certificateThumbprint: certificate?.thumbprint,
        })
      },
    }
  },
})
