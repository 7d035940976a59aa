import type { AuthorizationServer, Client } from 'oauth4webapi'
import { oneOf, text } from '../../base/scalars.ts'
import { type Assertion, assertionAudience, signAssertion } from '../signed-assertion.ts'

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

/** What makes the assertion of a client about itself. */
export interface ClientAssertion extends Pick<Assertion, 'key' | 'alg' | 'kid' | 'certificateThumbprint'> {
  readonly server: AuthorizationServer
  readonly client: Client
  readonly options: { readonly assertion_audience: string; readonly assertion_type: string }
}

/**
 * Signs an assertion about the client itself and puts it into the form.
 * @see https://www.rfc-editor.org/rfc/rfc7523#section-3 and RFC 10070
 */
export async function addSignedAssertion(
  body: URLSearchParams,
  { server, client, options, ...signing }: ClientAssertion,
): Promise<void> {
  const receiver = { issuer: server.issuer, tokenEndpoint: String(server.token_endpoint) }
  const aud = assertionAudience(options.assertion_audience, receiver)
  const claims = { iss: client.client_id, sub: client.client_id, aud }
  const signed = signAssertion({ ...signing, claims, type: options.assertion_type, lifetime, now: Date.now() })
  addAssertion(body, client, 'jwt-bearer', await signed)
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
