/**
 * The contenders that are not scopegate: `node bench/proxies.ts bare|express|express-jwt`. Each is what its documentation
 * shows, with nothing tuned, and loads only what it needs.
 */
import { Agent, createServer, type RequestListener, request } from 'node:http'
import { listen } from '../test/harness/listen.ts'

const { UPSTREAM = '', ISSUER = '', AUDIENCE = '', SCOPE = '' } = process.env

/** R: what Node itself costs. */
function createBareProxy(): RequestListener {
  const agent = new Agent({ keepAlive: true })
  const { hostname, port } = new URL(UPSTREAM)
  return (incoming, response) => {
    const { method, url: path, headers } = incoming
    const outgoing = request({ agent, hostname, port, method, path, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    outgoing.on('error', () => response.destroy())
    incoming.pipe(outgoing)
  }
}

async function createExpressProxy(validates: boolean): Promise<RequestListener> {
  const { default: express } = await import('express')
  const { createProxyMiddleware } = await import('http-proxy-middleware')
  const app = express()
  if (validates) {
    const { auth, requiredScopes } = await import('express-oauth2-jwt-bearer')
    app.use(auth({ issuerBaseURL: ISSUER, audience: AUDIENCE }), requiredScopes(SCOPE))
  }
  return app.use(createProxyMiddleware({ target: UPSTREAM }))
}

const kind = process.argv[2]
const listener = kind === 'bare' ? createBareProxy() : await createExpressProxy(kind === 'express-jwt')
const { port } = await listen(createServer(listener))
process.stdout.write(`${JSON.stringify({ msg: 'listening', port })}\n`)
process.once('SIGTERM', () => process.exit())
