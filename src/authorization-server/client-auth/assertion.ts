import { type KeyObject, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose/jwt/sign'
import type { AuthorizationServer, Client } from 'oauth4webapi'
import { oneOf, text } from '../../base/scalars.ts'

/** What both methods that sign an assertion let a client say of it. */
export const assertionOptions = {
  assertion_audience: text()
    .prefault('issuer')
    .describe('`aud` of the assertion: `issuer` (RFC 10070), `token_endpoint`, or any other value as it stands'),
  assertion_type: oneOf('client-authentication+jwt', 'JWT', 'none')
    .prefault('client-authentication+jwt')
    .describe('`typ` of the assertion (RFC 10070); some servers take only `JWT`, or `none` at all'),
}

/** Seconds. Long enough for clocks that differ a little, too short for whoever finds the assertion later. */
const lifetime = 60

/** What makes one assertion. */
export interface Assertion {
  readonly server: AuthorizationServer
  readonly client: Client
  readonly key: KeyObject | Uint8Array
  readonly alg: string
  readonly kid?: string | undefined
  readonly certificateThumbprint?: string | undefined
  readonly options: { readonly assertion_audience: string; readonly assertion_type: string }
}

/**
 * Signs an assertion about the client itself and puts it into the form. Each has a `jti` of its own: servers refuse one that
 * they have seen, and nobody can send it again.
 * @see https://www.rfc-editor.org/rfc/rfc7523#section-3 and RFC 10070
 */
export async function addSignedAssertion(body: URLSearchParams, assertion: Assertion): Promise<void> {
  const { server, client, key, alg, kid, certificateThumbprint, options } = assertion
  const { assertion_audience: audience, assertion_type: type } = options
  const now = Math.floor(Date.now() / 1000)
  const claims = {
    iss: client.client_id,
    sub: client.client_id,
    aud:
      audience === 'issuer' ? server.issuer : audience === 'token_endpoint' ? String(server.token_endpoint) : audience,
    jti: randomUUID(),
    iat: now,
    exp: now + lifetime,
  }
  const header = {
    alg,
    ...(type !== 'none' && { typ: type }),
    ...(kid !== undefined && { kid }),
    ...(certificateThumbprint !== undefined && { 'x5t#S256': certificateThumbprint }),
  }
  addAssertion(body, client, 'jwt-bearer', await new SignJWT(claims).setProtectedHeader(header).sign(key))
}

/** Puts an assertion into the form. @see https://www.rfc-editor.org/rfc/rfc7521#section-4.2 */
export function addAssertion(
  body: URLSearchParams,
  client: Client,
  type: 'jwt-bearer' | 'jwt-spiffe',
  assertion: string,
): void {
  body.set('client_id', client.client_id)
  body.set('client_assertion_type', `urn:ietf:params:oauth:client-assertion-type:${type}`)
  body.set('client_assertion', assertion)
}
