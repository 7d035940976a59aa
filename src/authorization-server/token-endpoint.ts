import {
  allowInsecureRequests,
  customFetch,
  genericTokenEndpointRequest,
  processGenericTokenEndpointResponse,
} from 'oauth4webapi'
import { GatewayError } from '../base/errors.ts'
import type { AuthorizationServer } from './authorization-server.ts'
import type { ClientCredential } from './client-auth/define.ts'
import { clientCredentials } from './grants/client-credentials.ts'
import type { Grant, Parameters } from './grants/define.ts'
import { asResponse, TransportFault } from './http-client.ts'
import { readRefusal, retryAfterSeconds, TokenRefusal } from './token-refusal.ts'

/** One request to a token endpoint. @see https://www.rfc-editor.org/rfc/rfc6749#section-3.2 */
export interface TokenEndpointRequest {
  readonly server: AuthorizationServer
  readonly clientId: string
  readonly credential: ClientCredential
  /** Default: client credentials. */
  readonly grant?: Grant
  /** Every parameter of the form but those of the grant and of the client authentication. */
  readonly parameters: Parameters
}

/** What a token endpoint gave. */
export interface IssuedToken {
  readonly accessToken: string
  /** What was granted, where the server says so. */
  readonly scope: string | undefined
  /** Seconds; may be zero or less. `undefined` where the server does not say. */
  readonly expiresIn: number | undefined
}

/**
 * Asks for an access token, once.
 * @throws {GatewayError} `authorization_server_unavailable` (no answer, 5xx, 429), `authorization_server_refused` (an
 * OAuth error), `authorization_server_invalid_response` (anything else that is no token). None of them holds the answer.
 */
export async function requestToken(request: TokenEndpointRequest): Promise<IssuedToken> {
  const { server, credential, grant = clientCredentials } = request
  const tokenEndpoint = await server.endpoint('token_endpoint', { certificate: credential.tls })
  const metadata = { issuer: server.issuer ?? tokenEndpoint, token_endpoint: tokenEndpoint }
  const { response, secrets } = await send({ ...request, grant }, metadata)
  if (response.status !== 200) {
    const known = credential.secret ? [...secrets, credential.secret.read()] : secrets
    throw await refusalOf(response, { secrets: known, grant, server })
  }
  const answer = await readAnswer(response)
  const fault = grant.findAnswerFault?.(answer)
  if (fault !== undefined) throw invalid(fault)
  const normalized = Response.json({
    access_token: answer.access_token,
    token_type: answer.token_type,
    scope: answer.scope ?? undefined,
  })
  const {
    access_token: accessToken,
    token_type: type,
    scope,
  } = await processGenericTokenEndpointResponse(metadata, { client_id: request.clientId }, normalized).catch(() => {
    throw invalid('the answer is no bearer token: access_token, token_type or scope is missing or malformed')
  })
  if (type !== 'bearer') throw invalid('the token_type is not Bearer')
  // A line break in it would begin a header of its own.
  if (!/^[\x21-\x7e]+$/.test(accessToken)) throw invalid('the access token has characters that no header takes')
  return { accessToken, scope, expiresIn: readExpiresIn(answer.expires_in) }
}

/** The answer, and what was sent that it must not be quoted with. */
async function send(
  { server, clientId, credential, grant, parameters }: TokenEndpointRequest & { readonly grant: Grant },
  metadata: { readonly issuer: string; readonly token_endpoint: string },
): Promise<{ readonly response: Response; readonly secrets: readonly string[] }> {
  const secrets: string[] = []
  const { issuer, token_endpoint: tokenEndpoint } = metadata
  const own = await grant.parameters({ issuer, tokenEndpoint, now: server.clock.now() })
  const response = await genericTokenEndpointRequest(
    metadata,
    { client_id: clientId },
    (...request) => {
      const added = credential.authenticate(...request)
      // Now and not when the answer comes: by then its file may hold another one.
      if (credential.secret) secrets.push(credential.secret.recent())
      return added
    },
    grant.type,
    new URLSearchParams([...own, ...parameters].map(([name, value]): [string, string] => [name, value])),
    {
      // The endpoint was checked when it was configured or discovered.
      [allowInsecureRequests]: true,
      async [customFetch](url, { method, headers, body }) {
        secrets.push(...credentialsIn(headers, new URLSearchParams(String(body))))
        // Not before the request is signed: the certificate may have changed meanwhile.
        const http = server.httpWith(credential.tls)
        const answer = await http.fetch(url, { method, headers, body: String(body) }).catch((error: unknown) => {
          throw (credential.tls && refusalOfCertificate(error)) ?? error
        })
        return asResponse(answer)
      },
    },
  )
  return { response, secrets }
}

/** What of a form is as good as its client, or as whoever it asks for. */
const secretParameters = ['client_secret', 'client_assertion', 'assertion', 'subject_token']

/** What a request holds that no log may. */
function credentialsIn(headers: Readonly<Record<string, string>>, form: URLSearchParams): string[] {
  const [, inHeader] = headers.authorization?.split(' ') ?? []
  return [inHeader, ...secretParameters.map((name) => form.get(name))].filter((value) => typeof value === 'string')
}

const certificateAlert =
  /^ERR_SSL_.*ALERT_(BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_(REVOKED|EXPIRED|UNKNOWN|REQUIRED)|UNKNOWN_CA|ACCESS_DENIED|HANDSHAKE_FAILURE)$/

/** A server that finds fault with the certificate may say so in TLS. @see https://www.rfc-editor.org/rfc/rfc8446#section-6.2 */
function refusalOfCertificate(error: unknown): TokenRefusal | undefined {
  if (!(error instanceof TransportFault) || !certificateAlert.test(error.fault)) return undefined
  return new TokenRefusal(`the certificate of the client was refused: ${error.message}`, {
    ofClient: true,
    inTls: true,
  })
}

async function refusalOf(
  response: Response,
  {
    secrets,
    grant,
    server,
  }: { readonly secrets: readonly string[]; readonly grant: Grant; readonly server: AuthorizationServer },
): Promise<GatewayError> {
  const { status } = response
  if (status >= 500 || status === 429) {
    return new GatewayError('authorization_server_unavailable', {
      reason: `the token endpoint answered ${status}`,
      retryAfterSeconds: retryAfterSeconds(response.headers.get('retry-after'), server.clock.now()),
    })
  }
  const refusal = status >= 400 ? readRefusal(await response.text(), secrets) : undefined
  return refusal === undefined
    ? invalid(`the token endpoint answered ${status}, without an OAuth error`)
    : new TokenRefusal(`the token endpoint answered ${status}: ${refusal.told}`, {
        error: refusal.error,
        ofClient: [...server.clientErrors, ...(grant.credentialErrors ?? [])].includes(refusal.error),
      })
}

/** Read here and not by the library, whose errors hold the whole answer, and which takes `expires_in` more strictly than servers write it. */
async function readAnswer(response: Response): Promise<Record<string, unknown>> {
  try {
    const answer: unknown = JSON.parse(await response.text())
    if (typeof answer === 'object' && answer !== null) return answer as Record<string, unknown>
  } catch {
    // Told below: the parser's own message would quote the answer.
  }
  throw invalid('the answer is no JSON object')
}

/** A number, or, as some servers write it, a number as text. */
function readExpiresIn(value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined
  const seconds = typeof value === 'string' && /^\s*-?\d+(\.\d+)?\s*$/.test(value) ? Number(value) : value
  if (typeof seconds !== 'number' || !Number.isFinite(seconds)) throw invalid('expires_in is no number')
  return seconds
}

function invalid(reason: string): GatewayError {
  return new GatewayError('authorization_server_invalid_response', { reason })
}
