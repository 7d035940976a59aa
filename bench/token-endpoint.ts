import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type Listening, listen } from '../test/harness/listen.ts'

/** A token that was given out. Times are milliseconds since the epoch. */
export interface Issued {
  readonly client: string
  readonly at: number
  readonly expiresAt: number
}

export interface TokenEndpointOptions {
  /** When a token that is asked for now is to expire. */
  readonly expiresAt: (now: number) => number
  /** How long the answer takes, in milliseconds; default not at all. */
  readonly delay?: () => number
}

/**
 * The token endpoint of an authorization server with any number of clients, which counts what it is asked. Whoever names
 * itself by HTTP Basic gets a token.
 */
export interface TokenEndpoint extends Listening {
  readonly url: string
  readonly issued: readonly Issued[]
  /** How many requests it worked on at once, at the most. */
  readonly mostAtOnce: () => number
}

/** Characters, as many as a signed JWT has. */
const tokenLength = 700

export async function startTokenEndpoint({ expiresAt, delay }: TokenEndpointOptions): Promise<TokenEndpoint> {
  const issued: Issued[] = []
  let [atWork, mostAtOnce] = [0, 0]
  const answer = (request: IncomingMessage, response: ServerResponse) => {
    atWork -= 1
    const at = Date.now()
    const token = { client: clientOf(request), at, expiresAt: expiresAt(at) }
    issued.push(token)
    response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-store' }).end(
      JSON.stringify({
        access_token: randomBytes(tokenLength).toString('base64url').slice(0, tokenLength),
        token_type: 'Bearer',
        expires_in: Math.round((token.expiresAt - at) / 1000),
      }),
    )
  }
  const server = createServer((request, response) => {
    atWork += 1
    mostAtOnce = Math.max(mostAtOnce, atWork)
    request.resume().once('end', () => {
      if (delay) setTimeout(answer, delay(), request, response)
      else answer(request, response)
    })
  })
  // Connections that the gateways keep are not cut between two of their token requests.
  server.keepAliveTimeout = 60_000
  const listening = await listen(server)
  const url = `http://127.0.0.1:${listening.port}/token`
  return { ...listening, url, issued, mostAtOnce: () => mostAtOnce }
}

/** @see https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1 */
function clientOf({ headers }: IncomingMessage): string {
  const [, credentials = ''] = /^Basic (.+)$/i.exec(headers.authorization ?? '') ?? []
  return Buffer.from(credentials, 'base64').toString().split(':', 1)[0] ?? ''
}
