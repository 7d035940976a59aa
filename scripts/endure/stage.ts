import type { IncomingMessage, ServerResponse } from 'node:http'
import { type AuthorizationServer, startAuthorizationServer } from '../../test/harness/authorization-server.ts'
import { startUpstream } from '../../test/harness/upstream.ts'
import { startWatchedGateway, type WatchedGateway } from '../watched-gateway.ts'
import { startSocketUpstream } from './sockets.ts'

/** A gateway with the limits that a listener has by default, and what stands behind it. */
export interface EnduranceStage {
  readonly gateway: WatchedGateway
  readonly sso: AuthorizationServer
  readonly token: string
  /** With the default limits, and one whose bodies may be silent for 2 s alone. */
  readonly ports: { readonly main: number; readonly brief: number }
  /** The answers under way at the upstream that has not ended them. */
  readonly held: ReadonlySet<ServerResponse>
  /** When the last one of them was left, on the clock of `performance`. */
  lastLeft(): number
  stop(): Promise<void>
}

export const bodyIdleSeconds = 2

export async function startEnduranceStage(): Promise<EnduranceStage> {
  const sso = await startAuthorizationServer({ lifetime: 3600 })
  const held = new Set<ServerResponse>()
  let lastLeft = 0
  const hold = (response: ServerResponse) => {
    held.add(response)
    response.once('close', () => {
      held.delete(response)
      lastLeft = performance.now()
    })
  }
  const upstream = await startUpstream((request, response) => answer(request, response, hold))
  const sockets = await startSocketUpstream()
  const token = await sso.issueToken({ scope: 'customer.read' })
  const routes = ['main', 'brief'].map(
    (listener) => `
  - { listener: ${listener}, path: /guarded, require: { scopes: [customer.read] }, upstream: "${upstream.url}" }
  - { listener: ${listener}, path: "/open/**", public: true, upstream: "${upstream.url}" }
  - { listener: ${listener}, path: /socket, public: true, upstream: "${sockets.url}" }`,
  )
  const gateway = await startWatchedGateway({
    yaml: `
listeners:
  main: { address: "127.0.0.1:0" }
  brief: { address: "127.0.0.1:0", timeouts: { body_idle: ${bodyIdleSeconds}s } }
admin: { address: "127.0.0.1:0" }
authorization_servers:
  sso: { issuer: "${sso.issuer}", access_tokens: { audience: any } }
routes:${routes.join('')}
`,
    secrets: [token],
    // With little room, so that what is not needed any more goes soon, and what stays is seen.
    nodeArgs: ['--max-old-space-size=256'],
  })
  return {
    gateway,
    sso,
    token,
    held,
    lastLeft: () => lastLeft,
    ports: { main: gateway.ports.get('main') ?? 0, brief: gateway.ports.get('brief') ?? 0 },
    async stop() {
      await gateway.stop()
      await Promise.all([upstream.stop(), sockets.stop(), sso.stop()])
    },
  }
}

function answer(request: IncomingMessage, response: ServerResponse, hold: (response: ServerResponse) => void): void {
  if (request.url === '/open/events') {
    hold(response)
    response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: first\n\n')
  } else if (request.url === '/open/never') {
    request.resume()
    hold(response)
  } else {
    request.resume().on('end', () => response.end('welcome'))
  }
}
