import { createServer, type ServerResponse } from 'node:http'
import { createRemoteJWKSet, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { audiences } from './authorization-server.ts'
import { listen, type Running } from './listen.ts'

/** An API of somebody else: it checks each token by itself, and lets nobody in without one. */
export function startCountriesApi(
  issuer: string,
  keys: JWTVerifyGetKey = createRemoteJWKSet(new URL(`${issuer}/jwks`)),
): Promise<Running> {
  return listen(
    createServer(async (request, response) => {
      const [, token = ''] = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '') ?? []
      try {
        const { payload } = await jwtVerify(token, keys, { issuer, audience: audiences.countries })
        const { client_id, scope } = payload
        if (scope !== 'country.read') return answer(response, 403, { error: 'insufficient_scope' })
        answer(response, 200, { countries: ['Iceland', 'Malta'], token_of: client_id, token_scope: scope })
      } catch {
        answer(response, 401, { error: 'a valid access token is required' })
      }
    }),
  )
}

/** A service of long ago: it knows nothing of OAuth, and knows one base URL. */
export function startLegacyReports(countriesBaseUrl: string): Promise<Running> {
  return listen(
    createServer(async (_request, response) => {
      const countries = await fetch(`${countriesBaseUrl}/countries`)
      answer(response, countries.status, { report: 'our countries', from_the_api: await countries.json() })
    }),
  )
}

/** A microservice that trusts whatever reaches it, since only the gateway does. */
export function startCustomersService(): Promise<Running> {
  return listen(
    createServer((request, response) => {
      request.resume()
      const caller = request.headers['x-client-id']
      if (request.url?.startsWith('/docs')) return answer(response, 200, { docs: 'open to everybody' })
      if (request.method === 'PUT') return answer(response, 200, { changed: 'customer 42', by: caller })
      answer(response, 200, { customer: 42, path: request.url, asked_by: caller })
    }),
  )
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}
