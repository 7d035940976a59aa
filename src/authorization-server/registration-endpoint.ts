import {
  allowInsecureRequests,
  type Client,
  customFetch,
  dynamicClientRegistrationRequest,
  processDynamicClientRegistrationResponse,
} from 'oauth4webapi'
import { GatewayError } from '../base/errors.ts'
import { Secret } from '../base/secret.ts'
import type { AuthorizationServer } from './authorization-server.ts'
import { asResponse, type HttpAnswer, TransportFault } from './http-client.ts'
import { readRefusal, retryAfterSeconds } from './token-refusal.ts'

type Members = Readonly<Record<string, unknown>>

/** What a server says of a client that it has registered. @see https://www.rfc-editor.org/rfc/rfc7591#section-3.2.1 */
export interface RegisteredAnswer {
  readonly clientId: string
  readonly clientSecret: Secret | undefined
  /** Milliseconds since the epoch; `undefined` for a secret that does not expire. */
  readonly secretExpiresAt: number | undefined
  /** Where it can be changed and deleted, where the server allows that. */
  readonly management: Management | undefined
  /** What was granted, without all of the above. */
  readonly metadata: Members
}

/** @see https://www.rfc-editor.org/rfc/rfc7592#section-3 */
export interface Management {
  readonly uri: string
  readonly accessToken: Secret
}

/** The server has registered the client, and its answer is of no use: nobody can tell whom. */
export class LostRegistration extends GatewayError {}

/**
 * Registers a client, once. Servers answer 200 as well as 201.
 * @throws {GatewayError} as `requestToken` does, and `LostRegistration`
 * @see https://www.rfc-editor.org/rfc/rfc7591#section-3.1
 */
export async function registerClient(
  server: AuthorizationServer,
  metadata: Members,
  initialAccessToken: string | undefined,
): Promise<RegisteredAnswer> {
  // The message of what would be thrown for it quotes it.
  if (initialAccessToken !== undefined && !/^[\x21-\x7e]+$/.test(initialAccessToken))
    throw new GatewayError('authorization_server_refused', {
      reason: 'the initial_access_token has characters that no header takes',
    })
  const endpoint = await server.endpoint('registration_endpoint')
  const response = await dynamicClientRegistrationRequest(
    { issuer: server.issuer ?? endpoint, registration_endpoint: endpoint },
    metadata as Partial<Client>,
    {
      // The endpoint was checked when it was configured or discovered.
      [allowInsecureRequests]: true,
      ...(initialAccessToken !== undefined && { initialAccessToken }),
      [customFetch]: async (url, { method, headers, body }) =>
        asResponse(await server.http.fetch(url, { method, headers, body }).catch((error) => throwLost(error))),
    },
  )
  const secrets = [initialAccessToken, metadata.software_statement]
  const text = await requireSuccess(server, response, 'registration_endpoint', secrets)
  try {
    return await readAnswer(text)
  } catch {
    // The cause would hold the whole answer, and a secret may be in it.
    throw new LostRegistration('authorization_server_invalid_response', {
      reason: `the registration_endpoint answered ${response.status}, without a client_id that can be used`,
    })
  }
}

/** An answer that broke off, or was too large, was one all the same: the client may well be registered. */
function throwLost(error: unknown): never {
  const hasBegun = error instanceof TransportFault ? error.fault === 'INCOMPLETE' : isUnusable(error)
  if (!hasBegun) throw error
  throw new LostRegistration('authorization_server_invalid_response', {
    reason: 'the answer of the registration_endpoint could not be read to its end',
  })
}

function isUnusable(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'authorization_server_invalid_response'
}

/**
 * Replaces what the server knows of a client. `metadata` holds `client_id`, and, where there is one, `client_secret`. What
 * the answer leaves out stays as it was.
 * @see https://www.rfc-editor.org/rfc/rfc7592#section-2.2
 */
export async function updateClient(
  server: AuthorizationServer,
  management: Management,
  metadata: Members,
): Promise<RegisteredAnswer> {
  const body = Object.fromEntries(Object.entries(metadata).filter(([name]) => !serversOwn.includes(name)))
  const secrets = [management.accessToken.read(), metadata.client_secret, metadata.software_statement]
  const text = await requireSuccess(server, await manage(server, management, 'PUT', body), 'client', secrets)
  try {
    return await readAnswer(text, management)
  } catch {
    throw invalid('the update of the client was answered without a client_id that can be used')
  }
}

/** @see https://www.rfc-editor.org/rfc/rfc7592#section-2.3 */
export async function deleteClient(server: AuthorizationServer, management: Management): Promise<void> {
  const response = await manage(server, management, 'DELETE')
  // Gone is what it was to be.
  if (response.status === 404 || response.status === 410) return
  await requireSuccess(server, response, 'client', [management.accessToken.read()])
}

/** A request to change a client must not hold these. @see https://www.rfc-editor.org/rfc/rfc7592#section-2.2 */
const serversOwn: readonly string[] = [
  'registration_access_token',
  'registration_client_uri',
  'client_secret_expires_at',
  'client_id_issued_at',
]

function manage(
  server: AuthorizationServer,
  { uri, accessToken }: Management,
  method: 'PUT' | 'DELETE',
  body?: Members,
): Promise<HttpAnswer> {
  return server.http.fetch(server.requireReachable('registration_client_uri', uri), {
    method,
    headers: {
      accept: 'application/json',
      authorization: `Bearer ${accessToken.read()}`,
      ...(body && { 'content-type': 'application/json' }),
    },
    ...(body && { body: JSON.stringify(body) }),
  })
}

/** The text of an answer of success. */
async function requireSuccess(
  server: AuthorizationServer,
  response: HttpAnswer,
  where: 'registration_endpoint' | 'client',
  secrets: readonly unknown[],
): Promise<string> {
  const { status } = response
  const answered = `the ${where === 'client' ? 'registration_client_uri' : where} answered ${status}`
  const text = await response.text()
  if (status >= 500 || status === 429)
    throw new GatewayError('authorization_server_unavailable', {
      reason: answered,
      retryAfterSeconds: retryAfterSeconds(response.headers.get('retry-after'), server.clock.now()),
    })
  if (status >= 200 && status <= 299) return text
  const known = secrets.filter((secret) => typeof secret === 'string')
  const refusal = status >= 400 ? readRefusal(text, known) : undefined
  if (!refusal && status !== 401 && status !== 403) throw invalid(`${answered}, without an OAuth error`)
  throw new GatewayError('authorization_server_refused', {
    reason: refusal ? `${answered}: ${refusal.told}` : answered,
  })
}

async function readAnswer(text: string, known?: Management): Promise<RegisteredAnswer> {
  const answer = parse(text)
  const { client_id, client_secret, ...rest } = answer
  // Of what it would refuse it is told nothing: status 200, and a secret without its expiry.
  const read = await processDynamicClientRegistrationResponse(
    Response.json(
      { client_id, client_secret: client_secret || undefined, client_secret_expires_at: 0 },
      { status: 201 },
    ),
  )
  const metadata = Object.entries(rest).filter(([name]) => !serversOwn.includes(name))
  return {
    clientId: read.client_id,
    clientSecret: typeof read.client_secret === 'string' ? secretOf(read.client_secret) : undefined,
    secretExpiresAt: readExpiry(rest.client_secret_expires_at),
    management: managementOf(answer, known),
    metadata: Object.fromEntries(metadata),
  }
}

/** Each answer may bring another access token, or none: then the one that was there goes on. */
function managementOf(answer: Members, known?: Management): Management | undefined {
  const { registration_access_token: token = known?.accessToken.read(), registration_client_uri: uri = known?.uri } =
    answer
  // A line break in it would begin a header of its own.
  if (typeof token !== 'string' || !/^[\x21-\x7e]+$/.test(token)) return known
  return typeof uri === 'string' && URL.canParse(uri) ? { uri, accessToken: secretOf(token) } : known
}

function secretOf(value: string): Secret {
  return new Secret(() => value)
}

/** Seconds since the epoch, of which 0 means never; some servers write them as text, or leave them out. */
function readExpiry(value: unknown): number | undefined {
  const seconds = typeof value === 'string' && /^\d+$/.test(value) ? Number(value) : value
  return typeof seconds === 'number' && seconds > 0 && Number.isFinite(seconds) ? seconds * 1000 : undefined
}

function parse(text: string): Members {
  const answer: unknown = JSON.parse(text)
  return typeof answer === 'object' && answer !== null ? (answer as Members) : {}
}

function invalid(reason: string): GatewayError {
  return new GatewayError('authorization_server_invalid_response', { reason })
}
