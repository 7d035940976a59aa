import { Agent as HttpAgent } from 'node:http'
import { Agent as HttpsAgent } from 'node:https'
import type { Duplex } from 'node:stream'
import { createSecureContext, getCACertificates, type SecureContext, TLSSocket } from 'node:tls'
import type { PresentedCertificate } from '../base/client-certificate.ts'

export interface AgentOptions {
  readonly encrypted: boolean
  readonly keepAlive: boolean
  /** Added to the system's roots. */
  readonly ca?: string
  /** What is presented to the upstream, if it asks. */
  readonly certificate?: PresentedCertificate | undefined
  /** The name that the certificate must have; empty for an address, which is verified as such. */
  readonly serverName: string
}

/** The connections to one upstream. */
export interface UpstreamAgent {
  readonly agent: HttpAgent
  /** Closes the idle connections; one in use is closed once its answer is there. */
  retire(): void
}

/** Below the 5 s after which Node, and many others, close an idle connection, perhaps just as a request is sent on it. */
const idleMilliseconds = 4000

/**
 * An agent for one upstream alone, so that no other upstream's idle streams starve it, and without a limit on how many
 * connections are open.
 */
export function createUpstreamAgent(options: AgentOptions): UpstreamAgent {
  const { encrypted, keepAlive, serverName } = options
  const connections = { keepAlive, maxSockets: Number.POSITIVE_INFINITY, timeout: idleMilliseconds }
  // Node would take the name to verify from Host, which with `host: preserve` is the caller's to choose.
  const tls = { servername: serverName, rejectUnauthorized: true }
  return watchIdle(
    encrypted
      ? new HttpsAgent({ ...connections, ...tls, secureContext: createContext(options) })
      : new HttpAgent(connections),
  )
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
 * request; Node would give it to the next caller, who then reads what was meant for, or made by, somebody else.
 */
function watchIdle(agent: HttpAgent): UpstreamAgent {
  let retired = false
  const keepSocketAlive = agent.keepSocketAlive.bind(agent) as (socket: Duplex) => unknown
  const reuseSocket = agent.reuseSocket.bind(agent)
  agent.keepSocketAlive = (socket) => {
    if (retired || socket.readableLength > 0 || !isEstablished(socket) || !keepSocketAlive(socket)) return false
    socket.on('data', destroyConnection)
    return true
  }
  agent.reuseSocket = (socket, request) => {
    socket.off('data', destroyConnection)
    reuseSocket(socket, request)
  }
  return {
    agent,
    retire() {
      retired = true
      for (const socket of Object.values(agent.freeSockets).flat()) socket?.destroy()
    },
  }
}

function destroyConnection(this: Duplex): void {
  this.destroy()
}

/** Node also keeps connections that are still being made, when their request was given up. */
function isEstablished(socket: Duplex & { readonly connecting?: boolean }): boolean {
  return socket.connecting !== true && (!(socket instanceof TLSSocket) || socket.authorized)
}
