import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Clock, systemClock } from '../../../src/base/clock.ts'
import { createSecret, registerSecret } from '../../harness/secrets.ts'
import type { SeenRequest } from '../../harness/seen-request.ts'
import { startUpstream, type Upstream } from '../../harness/upstream.ts'

type Kind = 'register' | 'manage' | 'token' | 'api'

/** How the server takes registrations; may be changed at any time. */
export interface Manners {
  /** The status of its answer to a registration, 201 unless a test says otherwise. */
  status: number
  /** How long a secret lives, in milliseconds; for ever by default. */
  secretLife: number | undefined
  /** Gives a registration access token. */
  isManaged: boolean
  /** A change of the registration brings a new secret, and the old one is refused from then on. */
  renewsSecret: boolean
  /** Each answer of the management has another registration access token, and the old one is refused from then on. */
  changesAccessToken: boolean
  /** How long the server keeps the answer to a change back that it has made: milliseconds. */
  answersLate: number
  /** How long a registration, or a change of it, takes: milliseconds. */
  delay: number
  /** Answers 503 to whatever concerns registrations. */
  isBusy: boolean
  /** What stands in each answer beside or instead of what was asked for. */
  granted: Readonly<Record<string, unknown>>
  /** Answers a registration in its stead. */
  answer: ((request: IncomingMessage, response: ServerResponse) => void) | undefined
}

interface Registered {
  secret: string
  expiresAt: number
  accessToken: string
}

/**
 * A small authorization server, at whose manners a test can turn: registration, its management, client_secret_basic, and
 * every other path as an API that welcomes everybody with a token.
 */
export interface RegistrationServer extends Pick<Upstream, 'url' | 'stop' | 'requests'> {
  readonly manners: Manners
  readonly clients: Map<string, Registered>
  /** How long a token lives, in seconds. */
  lifetime: number
  /** The requests of one kind so far. */
  requestsTo(what: Kind): SeenRequest[]
  /** The status of each answer to them. */
  answersTo(what: Kind): number[]
}

export async function startRegistrationServer(clock: Clock = systemClock): Promise<RegistrationServer> {
  const clients = new Map<string, Registered>()
  const manners: Manners = {
    status: 201,
    secretLife: undefined,
    isManaged: false,
    renewsSecret: false,
    changesAccessToken: false,
    answersLate: 0,
    delay: 0,
    isBusy: false,
    granted: {},
    answer: undefined,
  }
  const expiry = () => (manners.secretLife === undefined ? 0 : Math.floor((clock.now() + manners.secretLife) / 1000))
  const answers: { readonly kind: Kind; readonly status: number }[] = []
  const kindOf = (seen: SeenRequest): Kind => {
    if (seen.url === '/token') return 'token'
    if (!seen.url.startsWith('/register')) return 'api'
    return seen.method === 'POST' ? 'register' : 'manage'
  }

  function describe(id: string, { secret, expiresAt, accessToken }: Registered, asked: object) {
    return {
      ...asked,
      client_id: id,
      client_secret: secret,
      client_secret_expires_at: expiresAt,
      client_id_issued_at: Math.floor(clock.now() / 1000),
      ...(manners.isManaged && {
        registration_access_token: accessToken,
        registration_client_uri: `${upstream.url}/register/${id}`,
      }),
      ...manners.granted,
    }
  }

  function register(asked: object): Answer {
    const client = { secret: createSecret(), expiresAt: expiry(), accessToken: createSecret() }
    const id = randomUUID()
    clients.set(id, client)
    noteBasic(id, client)
    return [manners.status, describe(id, client, asked)]
  }

  function manage(seen: SeenRequest): Answer {
    const id = seen.url.replace('/register/', '')
    const client = clients.get(id)
    if (!client || seen.headers.authorization !== `Bearer ${client.accessToken}`)
      return [401, { error: 'invalid_token' }]
    if (seen.method === 'DELETE') {
      clients.delete(id)
      return [204, undefined]
    }
    const asked = JSON.parse(seen.body().toString()) as Record<string, unknown>
    const forbidden = [
      'registration_access_token',
      'registration_client_uri',
      'client_secret_expires_at',
      'client_id_issued_at',
    ]
    const wrong = asked.client_id !== id || asked.client_secret !== client.secret
    if (wrong || forbidden.some((name) => name in asked)) return [400, { error: 'invalid_request' }]
    if (manners.renewsSecret) Object.assign(client, { secret: createSecret(), expiresAt: expiry() })
    if (manners.changesAccessToken) client.accessToken = createSecret()
    noteBasic(id, client)
    return [200, describe(id, client, asked)]
  }

  function token(seen: SeenRequest): Answer {
    const credentials = Buffer.from(seen.headers.authorization?.split(' ')[1] ?? '', 'base64').toString()
    const [id = '', secret] = credentials.split(':')
    const client = clients.get(id)
    const isExpired = client && client.expiresAt !== 0 && client.expiresAt * 1000 <= clock.now()
    if (!client || client.secret !== secret || isExpired) return [401, { error: 'invalid_client' }]
    const scope = new URLSearchParams(seen.body().toString()).get('scope')
    return [
      200,
      { access_token: createSecret(), token_type: 'Bearer', expires_in: server.lifetime, ...(scope && { scope }) },
    ]
  }

  const upstream = await startUpstream((request, response, seen) => {
    const kind = kindOf(seen)
    if (kind === 'register' && manners.answer) return manners.answer(request, response)
    const answerTo: Record<Kind, () => Answer> = {
      api: () => [seen.headers.authorization ? 200 : 401, {}],
      token: () => token(seen),
      manage: () => (manners.isBusy ? busy : manage(seen)),
      register: () => (manners.isBusy ? busy : register(JSON.parse(seen.body().toString()) as object)),
    }
    const answer = () => {
      const [status, body] = answerTo[kind]()
      answers.push({ kind, status })
      const send = () =>
        response.writeHead(status, { 'content-type': 'application/json' }).end(body && JSON.stringify(body))
      setTimeout(send, kind === 'manage' ? manners.answersLate : 0).unref()
    }
    const isSlow = kind === 'register' || kind === 'manage'
    request.resume().on('end', () => setTimeout(answer, isSlow ? manners.delay : 0).unref())
  })
  const server: RegistrationServer = {
    url: upstream.url,
    stop: upstream.stop,
    requests: upstream.requests,
    manners,
    clients,
    lifetime: 300,
    requestsTo: (what) => upstream.requests.filter((seen) => kindOf(seen) === what),
    answersTo: (what) => answers.flatMap(({ kind, status }) => (kind === what ? [status] : [])),
  }
  return server
}

type Answer = readonly [status: number, body: object | undefined]

const busy: Answer = [503, {}]

/** As the token endpoint is told them: no log may hold that either. */
function noteBasic(id: string, { secret }: Registered): void {
  registerSecret(Buffer.from(`${id}:${secret}`).toString('base64'))
}
