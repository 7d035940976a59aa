import { type ClientOptions, methodNamed, type RegisteringClient } from '../client.ts'

/**
 * What a client asks to be registered as: the metadata that is configured, and beside it what follows from the client
 * itself. The software statement is not among it: it may be renewed without anything new being asked for.
 * @see https://www.rfc-editor.org/rfc/rfc7591#section-2
 */
export function clientMetadata(client: RegisteringClient): Readonly<Record<string, unknown>> {
  const { metadata } = client.registration
  const { jwks, ...described } = methodNamed(client.token_endpoint_auth_method)?.describe?.({ ...client }) ?? {}
  const scopes = scopesOf(client)
  return {
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: client.token_endpoint_auth_method,
    ...described,
    ...(jwks !== undefined && metadata.jwks_uri === undefined && { jwks }),
    ...(scopes && { scope: scopes.join(' ') }),
    ...(client.tls_client_certificate_bound_access_tokens && { tls_client_certificate_bound_access_tokens: true }),
    ...metadata,
  }
}

/** What the client's tokens are asked for, where that is configured. */
export function scopesOf({ scopes, scope }: Pick<ClientOptions, 'scope' | 'scopes'>): readonly string[] | undefined {
  return scopes ?? scope
}
