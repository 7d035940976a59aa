import { type ClientRequest, Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { LookupFunction, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { createSecureContext, getCACertificates, type SecureContext, TLSSocket } from 'node:tls'
import type { PresentedCertificate } from '../base/client-certificate.ts'

export interface AgentOptions {
  readonly encrypted: boolean
  readonly keepAlive: boolean
  /** Added to the roots that Node trusts. */
  readonly ca?: string
  /** What is presented to the upstream, if it asks. */
  readonly certificate?: PresentedCertificate | undefined
  /** The name that the certificate must have; empty for an address, which is verified as such. */
  readonly serverName: string
  /** How its name is looked up; default: as Node does it. */
  readonly lookup?: LookupFunction
}

/** The connections to one upstream. */
export interface UpstreamAgent {
  readonly agent: HttpAgent
  readonly keepAlive: boolean
  /** For a client that has connections of its own, which it is to treat likewise. */
  whenRetired(retire: () => void): void
  /** Closes the idle connections; one in use is closed once its answer is there. */
  retire(): void
}

/** Below the 5 s after which Node, and many others, close an idle connection, perhaps just as a request is sent on it. */
export const idleMilliseconds = 4000

/**
 * An agent for one origin alone, so that no other one's idle streams starve it, and without a limit on how many
 * connections are open.
 */
export function createUpstreamAgent(options: AgentOptions): UpstreamAgent {
  const { encrypted, keepAlive, serverName, lookup } = options
  const connections = {
    keepAlive,
    maxSockets: Number.POSITIVE_INFINITY,
    timeout: idleMilliseconds,
    ...(lookup && { lookup }),
  }
  // Node would take the name to verify from Host, which with `host: preserve` is the caller's to choose.
  const tls = { servername: serverName, rejectUnauthorized: true }
  const agent = encrypted
    ? new HttpsAgent({ ...connections, ...tls, secureContext: createContext(options) })
    : new HttpAgent(connections)
  takeKeptFirst(agent)
  return watchIdle(agent, keepAlive)
}

/** The one pool of an agent that serves but one upstream. */
const pool = 'upstream'

/** As far as an agent is used here beyond what it declares. */
interface Pools {
  addRequest(request: ClientRequest, options: object): void
  readonly sockets: Record<string, Duplex[]>
  readonly freeSockets: Record<string, Duplex[]>
}

/**
 * Node looks for a kept connection by a name that it makes, for each request, of all options that a connection could
 * have. Here they are the same for all, so the kept connection that was used last is simply taken; everything else about
 * connections is left to Node. It saves a sixth of what a request to an upstream costs.
 */
function takeKeptFirst(agent: HttpAgent): void {
  agent.getName = () => pool
  const pools = agent as unknown as Pools
  const addRequest = pools.addRequest.bind(agent)
  pools.addRequest = (request, options) => {
    const socket = takeKept(pools.freeSockets)
    if (!socket) {
      addRequest(request, options)
      return
    }
    const inUse = pools.sockets[pool] ?? []
    pools.sockets[pool] = inUse
    inUse.push(socket)
    agent.reuseSocket(socket, request)
    request.onSocket(socket as Socket)
  }
}

/** One that has died stays among the others until Node tells of its end: taken meanwhile, it would lose a request. */
function takeKept(freeSockets: Pools['freeSockets']): Duplex | undefined {
  const free = freeSockets[pool]
  if (!free) return undefined
  let socket = free.pop()
  while (socket && !(socket.writable && socket.readable)) socket = free.pop()
  if (free.length === 0) delete freeSockets[pool]
  return socket
}

/** Made once: from roots and keys as options, Node would make it anew for each connection, and name its pools after them. */
function createContext({ ca, certificate }: AgentOptions): SecureContext | undefined {
  if (ca === undefined && certificate === undefined) return undefined
  return createSecureContext({
    ...(ca !== undefined && { ca: [...getCACertificates('default'), ca] }),
    ...(certificate && { cert: certificate.certificate, key: certificate.privateKey }),
  })
}

/**
 * Keeps only connections that can be trusted with another request. A byte that arrives on an idle one is an answer to no
 * request: whoever came next would read what was meant for, or made by, somebody else. Node itself closes a connection on
 * which that happens while it is idle.
 */
function watchIdle(agent: HttpAgent, keepAlive: boolean): UpstreamAgent {
  const others: (() => void)[] = []
  let retired = false
  const keepSocketAlive = agent.keepSocketAlive.bind(agent) as (socket: Duplex) => boolean
  agent.keepSocketAlive = (socket) =>
    !retired && socket.readableLength === 0 && isEstablished(socket) && keepSocketAlive(socket)
  return {
    agent,
    keepAlive,
    whenRetired: (retire) => void others.push(retire),
    retire() {
      retired = true
      for (const retire of others) retire()
      for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy()
    },
  }
}

/** Node also keeps connections that are still being made, when their request was given up. */
function isEstablished(socket: Duplex & { readonly connecting?: boolean }): boolean {
  return socket.connecting !== true && (!(socket instanceof TLSSocket) || socket.authorized)
}
