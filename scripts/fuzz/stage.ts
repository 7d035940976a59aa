import { type AuthorizationServer, startAuthorizationServer } from '../../test/harness/authorization-server.ts'
import { askTls, listenerEnv, listenerTls } from '../../test/harness/caller-certificates.ts'
import { ask } from '../../test/harness/raw-client.ts'
import type { WireRequest } from '../../test/harness/strict-http.ts'
import { createToken } from '../../test/harness/tokens.ts'
import { startWatchedGateway, type WatchedGateway } from '../watched-gateway.ts'
import {
  audience,
  clientOf,
  createTokenKeys,
  guardScope,
  issuer,
  keySetOf,
  objectionTo,
  otherIssuer,
  type TokenKeys,
} from './token-oracle.ts'
import { headerOf, isGuarded, type JudgingUpstream, startJudgingUpstream } from './upstreams.ts'

/** A gateway, whatever it talks to, and what is wrong so far. */
export interface Stage {
  readonly keys: TokenKeys
  /** A token that opens the guarded path, and one that does not. */
  readonly tokens: { readonly admin: string; readonly reader: string }
  readonly ports: { readonly main: number; readonly tls: number }
  readonly gateway: WatchedGateway
  /** How many requests got through. */
  arrived(): number
  /** Takes what has come up since it was asked last. */
  takeFaults(): string[]
  /** Sends requests that are as they should be, and says which were not served. */
  serves(): Promise<string[]>
  /** What is left of earlier connections, once all of them should be gone. */
  isQuiet(): Promise<string[]>
  stop(): Promise<void>
}

/** Starts one. Its limits are short, so that a connection that hangs is seen soon. */
export async function startStage(): Promise<Stage> {
  const keys = createTokenKeys()
  const found: string[] = []
  const report = (fault: string) => void found.push(fault)
  const ownToken = { value: '' }
  const judge = (request: WireRequest) => objectionToRequest(request, keys, ownToken.value)
  const upstream = await startJudgingUpstream(judge, report)
  const sockets = await startJudgingUpstream(judge, report, 'web-socket')
  const secured = await startJudgingUpstream(({ headers }) => {
    const sent = headers.filter(([name]) => name.toLowerCase() === 'authorization').map(([, value]) => value)
    if (sent.length !== 1 || !/^Bearer [\w.~+/-]+=*$/.test(sent[0] ?? '')) return `its token is ${sent.join()}`
    ownToken.value ||= sent[0]?.slice('Bearer '.length) ?? ''
    return sent[0] === `Bearer ${ownToken.value}` ? undefined : 'it has another token than that of the gateway'
  }, report)
  const sso = await startAuthorizationServer({ lifetime: 86_400, tokenFormat: 'opaque' })
  const tokens = {
    admin: signFor(keys, 'the-admin', `${guardScope} customer.read`),
    reader: signFor(keys, 'the-reader', 'customer.read'),
  }
  const gateway = await startWatchedGateway({
    yaml: configuration({ upstream, sockets, secured, sso }),
    files: { 'own.json': keySetOf(keys.own), 'others.json': keySetOf(keys.others) },
    env: { ...listenerEnv, SECRET: sso.client.client_secret },
    // With little room, so that what is not needed any more goes soon, and what stays is seen.
    nodeArgs: ['--max-old-space-size=96', '--max-semi-space-size=4'],
    secrets: [tokens.admin, tokens.reader, sso.client.client_secret, listenerEnv.KEY],
  })
  const before = await gateway.usage()
  const ports = { main: gateway.ports.get('main') ?? 0, tls: gateway.ports.get('tls') ?? 0 }
  let known = 0
  const stage: Stage = {
    keys,
    tokens,
    ports,
    gateway,
    arrived: () => upstream.count() + sockets.count() + secured.count(),
    takeFaults() {
      const fresh = [...found.splice(0), ...gateway.faults.slice(known)]
      known = gateway.faults.length
      return fresh
    },
    serves: () => servesAll(stage),
    isQuiet: () => isQuiet(gateway, before.handles),
    async stop() {
      await gateway.stop()
      await Promise.all([upstream.stop(), sockets.stop(), secured.stop(), sso.stop()])
    },
  }
  return stage
}

function signFor({ own }: TokenKeys, client: string, scope: string): string {
  const [key] = own
  if (!key) throw new TypeError('there is no key')
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: issuer, aud: audience, sub: client, client_id: client, scope, iat: now, exp: now + 86_400 }
  return createToken(key, { claims, header: { typ: 'at+jwt' } })
}

interface Behind {
  readonly upstream: JudgingUpstream
  readonly sockets: JudgingUpstream
  readonly secured: JudgingUpstream
  readonly sso: AuthorizationServer
}

function configuration({ upstream, sockets, secured, sso }: Behind): string {
  const limits = 'timeouts: { headers: 1s, body_idle: 500ms, keep_alive: 1s }'
  const patience = 'timeouts: { connect: 1s, response: 2s, idle: 2s }'
  const routes = ['main', 'tls'].map(
    (listener) => `
  - { listener: ${listener}, path: "/open/**", public: true, upstream: { url: "${upstream.url}", ${patience} } }
  - { listener: ${listener}, path: "/admin/**", require: { scopes: [${guardScope}], issuers: [own] }, upstream: { url: "${upstream.url}", ${patience} } }
  - { listener: ${listener}, path: "/sockets/**", public: true, upstream: { url: "${sockets.url}", ${patience} } }
  - { listener: ${listener}, path: "/admin/sockets/**", require: { scopes: [${guardScope}], issuers: [own] }, upstream: { url: "${sockets.url}", ${patience} } }
  - { listener: ${listener}, path: "/out/**", hosts: [a], callers: { networks: [loopback] }, token: { client: ours }, upstream: { url: "${secured.url}", ${patience} } }
  - { listener: ${listener}, path: "/dead/**", public: true, upstream: { url: "http://127.0.0.1:1", ${patience} } }`,
  )
  return `
listeners:
  main: { address: "127.0.0.1:0", ${limits} }
  tls: { address: "127.0.0.1:0", ${limits}, tls: ${listenerTls('optional')} }
admin: { address: "127.0.0.1:0" }
authorization_servers:
  own: { issuer: "${issuer}", jwks: "\${file:own.json}", access_tokens: { audience: "${audience}" } }
  other: { issuer: "${otherIssuer}", jwks: "\${file:others.json}", access_tokens: { audience: "${audience}" } }
  sso: { issuer: "${sso.issuer}" }
clients:
  ours: { authorization_server: sso, client_id: default-client, client_secret: "\${env:SECRET}" }
identity_headers: { X-Client-Id: client_id }
routes:${routes.join('')}
`
}

/** What nobody may have sent to an upstream behind this gateway. */
function objectionToRequest(request: WireRequest, keys: TokenKeys, ownToken: string): string | undefined {
  const authorization = headerOf(request, 'authorization') ?? ''
  if (ownToken !== '' && authorization.includes(ownToken)) return "it bears the gateway's own token"
  const token = /^Bearer +(.*)$/i.exec(authorization)?.[1] ?? ''
  const told = request.headers.filter(([name]) => name.toLowerCase().replaceAll('_', '-') === 'x-client-id')
  if (!isGuarded(request.target)) return told.length > 0 ? 'somebody has made up who calls' : undefined
  const objection = objectionTo(token, keys)
  if (objection !== undefined) return `its token opens nothing: ${objection}`
  const client = clientOf(token)
  // What is no single text has a spelling of its own.
  if (typeof client === 'object') return undefined
  const right = told.length === 0 || (told.length === 1 && decodeURIComponent(told[0]?.[1] ?? '') === String(client))
  return right ? undefined : `it says that ${JSON.stringify(told)} calls, and ${JSON.stringify(client)} does`
}

async function servesAll({ ports, tokens }: Stage): Promise<string[]> {
  const request = (path: string, ...headers: string[]) =>
    `GET ${path} HTTP/1.1\r\n${['Host: a', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n`
  const wanted: readonly (readonly [bytes: string, status: number])[] = [
    [request('/open/control'), 200],
    [request('/admin/control', `Authorization: Bearer ${tokens.admin}`), 200],
    [request('/admin/control'), 401],
    [request('/admin/control', `Authorization: Bearer ${tokens.reader}`), 403],
    [request('/out/control'), 200],
  ]
  const asks = [ask, askTls].flatMap((way, index) =>
    wanted.map(async ([bytes, status]) => {
      const port = [ports.main, ports.tls][index] ?? 0
      const answer = await way(port, bytes).catch((error: unknown) => ({ status: String(error) }))
      if (answer?.status === status) return []
      return [`a good request is answered ${answer?.status} instead of ${status}: ${bytes.slice(0, 60)}`]
    }),
  )
  return (await Promise.all(asks)).flat()
}

const mostQuietingMilliseconds = 15_000

async function isQuiet(gateway: WatchedGateway, handles: number): Promise<string[]> {
  const end = performance.now() + mostQuietingMilliseconds
  for (;;) {
    const left = (await gateway.usage()).handles - handles
    const inFlight = await gateway.metric('scopegate_requests_in_flight')
    const unforeseen = await gateway.metric('scopegate_internal_errors_total')
    const faults = [
      ...(left > mostLeft ? [`${left} files and sockets are left open`] : []),
      ...(inFlight > 0 ? [`${inFlight} requests are still on their way`] : []),
      ...(unforeseen > 0 ? [`${unforeseen} unforeseen errors were counted`] : []),
    ]
    if (faults.length === 0 || performance.now() > end) return faults
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
}

/** What the reading of the metrics itself takes. */
const mostLeft = 4
