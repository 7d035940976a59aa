/** What nginx asks about each request: `node bench/servers/jose-verifier.ts`. It answers 204, 401 or 403. */
import { createServer } from 'node:http'
import { createRemoteJWKSet, type JWTPayload, jwtVerify } from 'jose'
import { listen } from '../../test/harness/listen.ts'

const { JWKS_URI = '', ISSUER: issuer = '', AUDIENCE: audience = '', SCOPE = '' } = process.env
const keys = createRemoteJWKSet(new URL(JWKS_URI))

async function statusFor(authorization = ''): Promise<number> {
  const [, token] = /^Bearer (\S+)$/i.exec(authorization) ?? []
  if (token === undefined) return 401
  try {
    const { payload } = await jwtVerify<JWTPayload & { scope?: unknown }>(token, keys, { issuer, audience })
    return String(payload.scope).split(' ').includes(SCOPE) ? 204 : 403
  } catch {
    return 401
  }
}

const server = createServer(async (request, response) => {
  const status = await statusFor(request.headers.authorization)
  response.writeHead(status, status === 401 ? { 'WWW-Authenticate': 'Bearer' } : {}).end()
})
const { port } = await listen(server)
process.stdout.write(`${JSON.stringify({ msg: 'listening', port })}\n`)
process.once('SIGTERM', () => process.exit())
