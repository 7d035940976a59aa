import { createServer } from 'node:https'
import { testCertificate } from './certificates.ts'
import { type Listening, listen } from './listen.ts'
import { type SeenRequest, watchRequest } from './seen-request.ts'

/** An API over https that wants a token. */
export interface SecuredApi extends Listening {
  /** Its certificate, by the test's own authority, is for localhost. */
  readonly url: string
  /** Every request that arrived, oldest first. */
  readonly requests: readonly SeenRequest[]
}

/** Starts one. Without a bearer token it answers 401; with one `hello`, and to `/moved` where that has gone to. */
export async function startSecuredApi(): Promise<SecuredApi> {
  const requests: SeenRequest[] = []
  const { certificate, privateKey } = testCertificate('server')
  const server = createServer({ cert: certificate, key: privateKey }, (request, response) => {
    requests.push(watchRequest(request))
    request.resume().on('end', () => {
      if (!request.headers.authorization?.startsWith('Bearer ')) {
        response.writeHead(401, { 'www-authenticate': 'Bearer' }).end('who are you?')
      } else if (request.url === '/moved') {
        response.writeHead(302, { location: `https://localhost:${listening.port}/hello?again` }).end()
      } else {
        response.end(`hello, ${request.method} ${request.url}`)
      }
    })
  })
  const listening = await listen(server)
  return { ...listening, url: `https://localhost:${listening.port}`, requests }
}
