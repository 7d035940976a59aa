import type { z } from 'zod'
import type { ClientAuthMethod, ClientCredential } from '../../authorization-server/client-auth/define.ts'
import { GatewayError } from '../../base/errors.ts'
import { parseScope } from '../../base/scope.ts'
import {
  createCredential,
  isCertificateBound,
  type KnownClient,
  methodNamed,
  type RegisteringClient,
} from '../client.ts'
import { clientMetadata, scopesOf } from './client-metadata.ts'
import type { Registration } from './registration.ts'

/** A client as its server has registered it, which need not be as it was asked to. */
export interface GrantedClient {
  readonly registration: Registration
  readonly client: KnownClient
  readonly credential: ClientCredential
  /** Scope values that were asked for, and not granted. */
  readonly dropped: readonly string[]
  /** What deserves a second look. */
  readonly warnings: readonly string[]
}

/**
 * Reads back what was granted: the authentication method, its signature algorithm, and the scope.
 * @throws {GatewayError} `authorization_server_invalid_response` for a client that cannot be used so
 * @see https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1
 */
export function grantedClient(asking: RegisteringClient, registration: Registration): GrantedClient {
  const { answer } = registration
  const { token_endpoint_auth_method: granted, grant_types: grants, scope } = answer.metadata
  const { tls_client_certificate_bound_access_tokens: isBound } = answer.metadata
  const name = typeof granted === 'string' ? granted : asking.token_endpoint_auth_method
  const method = methodNamed(name)
  if (!method) throw unusable(`the method ${name.slice(0, 100)}, which scopegate does not have`)
  const options = optionsFor(method, asking, registration)
  const grantedScopes = readScopes(scope)
  const askedScopes = parseScope(String(clientMetadata(asking).scope ?? ''))
  const dropped = grantedScopes ? askedScopes.filter((value) => !grantedScopes.includes(value)) : []
  const { registration: _, scope: __, scopes: ___, ...kept } = asking
  const scopes = (scopesOf(asking) ?? grantedScopes ?? askedScopes).filter((value) => !dropped.includes(value))
  const client = {
    ...kept,
    ...options,
    token_endpoint_auth_method: method.name,
    client_id: answer.clientId,
    scopes,
  } as KnownClient
  return {
    registration,
    client,
    credential: createCredential(client),
    dropped,
    warnings: [
      ...(dropped.length > 0 ? [`the scope granted lacks ${dropped.join(' ')}`] : []),
      ...(Array.isArray(grants) && !grants.includes('client_credentials')
        ? ['the grant_types granted lack client_credentials']
        : []),
      ...(isCertificateBound(asking) && isBound === false ? ['its tokens are not bound to its certificate'] : []),
    ],
  }
}

/** The method's own keys: as granted, as configured, or by default. */
function optionsFor(method: ClientAuthMethod, asking: RegisteringClient, { answer }: Registration) {
  const configured: Readonly<Record<string, unknown>> = { ...asking }
  const { token_endpoint_auth_signing_alg: alg } = answer.metadata
  const read = ([key, form]: readonly [string, unknown]) => {
    const option = form as z.ZodType
    if (key === 'client_secret') return [key, answer.clientSecret] as const
    if (key !== 'token_endpoint_auth_signing_alg' || typeof alg !== 'string')
      return [key, configured[key] ?? option.safeParse(undefined).data] as const
    const granted = option.safeParse(alg)
    if (!granted.success) throw unusable(`${method.name} by an algorithm that it does not have here`)
    return [key, granted.data] as const
  }
  const options: Readonly<Record<string, unknown>> = Object.fromEntries(Object.entries(method.options).map(read))
  const [credential = ''] = Object.keys(options)
  if (method.name !== 'none' && options[credential] === undefined)
    throw unusable(`${method.name}, for which there is no ${credential}`)
  const fault = method.findFault?.(options)
  const isSplit = options.basic_encoding === 'raw' && answer.clientId.includes(':')
  if (isSplit) throw unusable('a client_id with ":" in it, behind which the secret would begin with basic_encoding raw')
  if (fault) throw unusable(`${method.name}: ${fault.path.join('.')} ${fault.message}`)
  return options
}

/** As text, as RFC 7591 has it, or as a list, as some servers do. */
function readScopes(scope: unknown): readonly string[] | undefined {
  if (typeof scope === 'string') return parseScope(scope)
  return Array.isArray(scope) ? scope.filter((value) => typeof value === 'string') : undefined
}

function unusable(what: string): GatewayError {
  const reason = `the client was registered with ${what}`
  return new GatewayError('authorization_server_invalid_response', { reason })
}
