import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ClientTokens, createClientTokens, createGateway, createLog, parseConfig } from '../../src/index.ts'
import { clientOf, type MethodName, type Options, serverOf } from './options.ts'
import { createSkippingClock, type SkippingClock } from './skipping-clock.ts'

/** A scope that no server grants. */
const neverGranted = 'scopegate.interop.never-granted'

/** What came of one request through the gateway. */
export interface Reply {
  readonly status: number
  /** Of the gateway's log line: its `code`, where the token came from, and the reason of a refusal. */
  readonly code: string
  readonly tokenSource: string | undefined
  readonly reason: string | undefined
  /** The token that the service behind the gateway saw. */
  readonly arrived: string | undefined
}

/** A gateway between the server that is tried and a service that takes whatever comes. */
export interface Stage {
  /** One request to `/sent` (egress), `/guarded` or `/beyond` (ingress), with this token. */
  call(path: string, token?: string): Promise<Reply>
  /** The same tokens for a program, with a cache of their own. */
  readonly tokens: ClientTokens
  /** The time of both. Skipping it does not change the time of day that assertions are signed with. */
  readonly clock: SkippingClock
  stop(): Promise<void>
}

/** Sets it up for the client of one method. @throws {ConfigError} for options that cannot be */
export async function setStage(options: Options, method: MethodName): Promise<Stage> {
  const arrivals: (string | undefined)[] = []
  const service = await open(
    createServer((request, response) => {
      arrivals.push(request.headers.authorization?.replace(/^Bearer /, ''))
      response.end()
    }),
  )
  const lines: Readonly<Record<string, string | undefined>>[] = []
  const log = createLog({ write: (line) => void lines.push(JSON.parse(line)) })
  const clock = createSkippingClock()
  try {
    const config = parseConfig(configurationText(options, method, service.url), { file: 'interop.yaml' })
    const gateway = createGateway(config, { log, clock })
    const tokens = createClientTokens(config, { log: createLog({ write: () => {} }), clock })
    const door = await open(createServer(gateway.serverOptions, gateway.handler))
    gateway.attach(door.server)
    return {
      tokens,
      clock,
      async call(path, token) {
        const [line, arrival] = [lines.length, arrivals.length]
        const { status } = await fetch(`${door.url}${path}`, {
          headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
          signal: AbortSignal.timeout(30_000),
        })
        const { code = '', token: tokenSource, reason } = await eventually(() => findRequest(lines.slice(line)))
        return { status, code, tokenSource, reason, arrived: arrivals[arrival] }
      },
      async stop() {
        await Promise.all([door.stop(), service.stop(), gateway.close(), tokens.close()])
      },
    }
  } catch (error) {
    await service.stop()
    throw error
  }
}

function findRequest(lines: readonly Readonly<Record<string, string | undefined>>[]) {
  return lines.find(({ msg }) => msg === 'request')
}

/** What is there soon, looked for again and again. @throws {Error} after 5 s */
export async function eventually<Found>(look: () => Found | undefined | Promise<Found | undefined>): Promise<Found> {
  const end = performance.now() + 5000
  while (performance.now() < end) {
    const found = await look()
    if (found !== undefined) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('nothing came of it within 5 s')
}

/** JSON is YAML. */
function configurationText(options: Options, method: MethodName, upstream: string): string {
  const { scope } = options
  return JSON.stringify({
    authorization_servers: { tried: serverOf(options) },
    clients: { tried: { authorization_server: 'tried', ...clientOf(method, options) } },
    routes: [
      { path: '/sent', callers: { networks: ['loopback'] }, token: { client: 'tried' }, upstream },
      { path: '/guarded', require: scope === undefined ? 'any_token' : { scopes: scope.trim().split(/ +/) }, upstream },
      { path: '/beyond', require: { scopes: [neverGranted] }, upstream },
    ],
  })
}

async function open(server: Server): Promise<{ url: string; server: Server; stop(): Promise<void> }> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    server,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
