import type { EventEmitter } from 'node:events'
import type { Agent as HttpAgent } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import Client from 'undici/lib/dispatcher/client.js'
import { AnswerLine } from './answer-line.ts'
import { idleMilliseconds, type UpstreamAgent } from './upstream-agent.ts'

/** The connections that undici has to one upstream. */
export interface UpstreamClients {
  /** The one that was used last of those that wait for a request, or a new one. */
  take(target: Target): UpstreamClient
  /** All of them, in use or idle, or being made. */
  readonly sockets: ReadonlySet<Duplex>
}

/** One connection, for one request at a time. */
export interface UpstreamClient {
  readonly client: Client
  /** That of the answer to its last request. */
  readonly line: AnswerLine
  isOpen(): boolean
  /** A request goes out on it. False for the first one. */
  begin(): boolean
  /** The answer is there: another request may have it. */
  release(): void
  /** Closes it, even while it is being made. */
  close(): void
}

interface Target {
  readonly protocol: string
  readonly hostname: string
  /** Empty: the protocol's own. */
  readonly port: string
}

const made = new WeakMap<UpstreamAgent, UpstreamClients>()

/** Those that belong to an agent. */
export function clientsOf(upstreamAgent: UpstreamAgent): UpstreamClients {
  const known = made.get(upstreamAgent)
  if (known) return known
  const clients = createUpstreamClients(upstreamAgent)
  made.set(upstreamAgent, clients)
  return clients
}

/** Their connections are made as the agent makes its own, and kept as long. */
function createUpstreamClients({ agent, keepAlive, whenRetired }: UpstreamAgent): UpstreamClients {
  const sockets = new Set<Duplex>()
  let idle: UpstreamClient[] = []
  let retired = false
  /** Of the last connection, to be resumed by the next. */
  let session: Buffer | undefined

  function connect({ protocol, hostname, port }: Target): Duplex {
    const socket = agent.createConnection({
      ...(agent as HttpAgent & { readonly options: object }).options,
      ...{ host: hostname, port: port || (protocol === 'https:' ? 443 : 80), session },
      // Idle ones are closed by undici itself.
      timeout: undefined,
    } as Parameters<HttpAgent['createConnection']>[0]) as Socket
    sockets.add(socket)
    socket.on('session', (given) => {
      session = given
    })
    socket.once('close', () => {
      sockets.delete(socket)
      if (idle.length > 2 * sockets.size) idle = idle.filter(({ isOpen }) => isOpen())
    })
    return socket
  }

  function open(target: Target): UpstreamClient {
    const line = new AnswerLine()
    let socket: Duplex | undefined
    let requests = 0
    const client = new Client('http://upstream', {
      pipelining: keepAlive ? 1 : 0,
      keepAliveTimeout: idleMilliseconds,
      keepAliveMaxTimeout: idleMilliseconds,
      // What is waited for, and how long, is told apart elsewhere.
      headersTimeout: 0,
      bodyTimeout: 0,
      connect(_, callback) {
        const opened = connect(target)
        socket = opened
        requests = 0
        const fail = (error: Error) => {
          session = undefined
          callback(error, null)
        }
        opened.once('error', fail)
        opened.once(opened instanceof TLSSocket ? 'secureConnect' : 'connect', () => {
          opened.off('error', fail)
          line.watch(opened)
          callback(null, opened as Socket)
        })
      },
    })
    // What goes wrong while somebody is told of an error is told here, and would end the process.
    ;(client as EventEmitter).on('error', () => {})
    const self: UpstreamClient = {
      client,
      line,
      isOpen: () => socket !== undefined && !socket.destroyed,
      begin: () => requests++ > 0,
      release() {
        if (retired || !keepAlive) client.close().catch(() => {})
        else idle.push(self)
      },
      close() {
        void client.destroy()
        socket?.destroy()
      },
    }
    return self
  }

  whenRetired(() => {
    retired = true
    for (const each of idle) each.close()
    idle = []
  })
  return {
    take(target) {
      let last = idle.pop()
      while (last && !last.isOpen()) last = idle.pop()
      return last ?? open(target)
    },
    sockets,
  }
}
