// A small service for docker-compose.yml. It answers what reached it, and never the token itself.
import { createServer } from 'node:http'

const server = createServer((request, response) => {
  const [scheme, token] = (request.headers.authorization ?? '').split(' ')
  response.setHeader('content-type', 'application/json')
  response.end(
    JSON.stringify({
      method: request.method,
      path: request.url,
      caller: request.headers['x-client-id'] ?? null,
      token: token ? { scheme, ...readClaims(token) } : null,
    }),
  )
  request.resume()
})

// This is for showing alone: nothing is decided on it, and no signature is checked.
function readClaims(token) {
  try {
    const { azp, scope, aud } = JSON.parse(Buffer.from(token.split('.')[1], 'base64url').toString())
    return { client: azp, scope, aud }
  } catch {
    return {}
  }
}

server.listen(Number(process.env.PORT ?? 8080))
