import { z } from 'zod'
import type { OptionFault } from '../../base/fault-rule.ts'
import { keyFaultOf } from '../../base/private-key.ts'
import { certificateFile, duration, listOf, oneOf, secret, text } from '../../base/scalars.ts'
import type { Expiry } from '../client-auth/define.ts'
import { createSigningKey, signingAlgorithmNames } from '../client-auth/signing-key.ts'
import { assertionAudience, signAssertion } from '../signed-assertion.ts'
import type { Grant } from './define.ts'

/** Said by keys of their own, or by scopegate itself. */
const ownClaims = ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'scope']

/** What the servers that limit it take: an hour at most. */
const longestLifetime = 3_600_000

const claims = z.record(
  z
    .string()
    .refine(
      (name) => name !== '' && !ownClaims.includes(name),
      `cannot be a claim of its own: ${ownClaims.join(', ')} have keys or are said by scopegate`,
    ),
  z.union([listOf(text()), text()]),
)

/** How a client's assertion is made. */
export const grantAssertionOptions = z.strictObject({
  private_key: secret().describe('PEM (PKCS#8, PKCS#1, SEC1) or JWK'),
  private_key_passphrase: secret().optional().describe('if the key is encrypted'),
  signing_alg: oneOf(...signingAlgorithmNames)
    .optional()
    .describe('how it is signed; follows from the key: RS256, ES256, ES384, ES512 or EdDSA'),
  key_id: text().optional().describe("`kid` of the assertion; default is the JWK's own"),
  certificate: certificateFile().optional().describe('PEM, for servers that know the key by its `x5t#S256`'),
  issuer: text().optional().describe('`iss`: who makes the assertion; default is the client_id'),
  subject: text().describe('`sub`: whose access is asked for, or `none` for servers that want none (Google)'),
  audience: text().prefault('issuer').describe('`aud`: `issuer`, `token_endpoint`, or any other value as it stands'),
  type: text().prefault('JWT').describe('`typ` of its header, or `none`'),
  lifetime: duration()
    .refine((value) => value >= 1000 && value <= longestLifetime, 'must be from 1s to 1h')
    .prefault('60s')
    .describe('how long it is good for, from 1s to 1h'),
  scope_as: oneOf('parameter', 'claim')
    .prefault('parameter')
    .describe('where the scope stands: in the form, or in the assertion as the claim `scope` (Google, DocuSign)'),
  claims: claims.optional().describe('further claims: text or lists of text'),
})

export type GrantAssertionOptions = z.output<typeof grantAssertionOptions>

/** What is wrong with the key, seen from the client. */
export function findGrantAssertionFault(options: GrantAssertionOptions): OptionFault | undefined {
  const fault = keyFaultOf(() => keyOf(options))
  if (!fault) return undefined
  const path = fault.path.map((key) => (key === 'token_endpoint_auth_signing_alg' ? 'signing_alg' : key))
  return { ...fault, path: ['grant_assertion', ...path] }
}

function keyOf({ signing_alg: alg, ...options }: GrantAssertionOptions) {
  return createSigningKey({ ...options, token_endpoint_auth_signing_alg: alg })
}

/** The assertions of one client. */
export interface GrantAssertion {
  /** What tells its assertions from those of another key, or with other claims. */
  identify(): string
  fault(): string | undefined
  expiries(): readonly Expiry[]
  /** Where the scope stands in the assertion, it does not stand in the form. */
  readonly holdsScope: boolean
  grant(scopes: readonly string[]): Grant
}

/**
 * A signed assertion in place of client credentials.
 * @throws {KeyFault}
 * @see https://www.rfc-editor.org/rfc/rfc7523#section-2.1
 */
export function createGrantAssertion(options: GrantAssertionOptions, clientId: string): GrantAssertion {
  const { issuer = clientId, subject, audience, type, lifetime, claims = {}, key_id: keyId } = options
  const signingKey = keyOf(options)
  const holdsScope = options.scope_as === 'claim'
  const described = [issuer, subject, audience, type, lifetime, holdsScope, sortedEntries(claims), keyId]
  const assertion = (scopes: readonly string[]) => ({
    ...claims,
    iss: issuer,
    ...(subject !== 'none' && { sub: subject }),
    ...(holdsScope && scopes.length > 0 && { scope: scopes.join(' ') }),
  })
  return {
    holdsScope,
    identify() {
      const { thumbprint, alg, certificate } = signingKey.recent()
      return JSON.stringify([...described, alg, thumbprint, certificate?.thumbprint])
    },
    fault: signingKey.fault,
    expiries() {
      const { certificate } = signingKey.recent()
      return certificate ? [{ path: ['grant_assertion', 'certificate'], at: certificate.expiresAt }] : []
    },
    grant: (scopes) => ({
      type: 'urn:ietf:params:oauth:grant-type:jwt-bearer',
      // The assertion is the client's word alone: nobody else's token stands in it.
      credentialErrors: ['invalid_grant'],
      async parameters({ now, ...receiver }) {
        const { certificate, thumbprint: _, ...signing } = signingKey.read()
        const signed = await signAssertion({
          ...signing,
          certificateThumbprint: certificate?.thumbprint,
          type,
          claims: { ...assertion(scopes), aud: assertionAudience(audience, receiver) },
          lifetime: Math.floor(lifetime / 1000),
          now,
        })
        return [['assertion', signed]]
      },
    }),
  }
}

function sortedEntries(claims: Readonly<Record<string, unknown>>): (readonly [string, unknown])[] {
  return Object.entries(claims).sort(([one], [other]) => (one < other ? -1 : 1))
}
