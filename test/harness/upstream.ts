import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, type Socket } from 'node:net'
import { type Listening, listen } from './listen.ts'
import { type SeenRequest, watchRequest } from './seen-request.ts'

/** Answers one request of a recording upstream. */
export type UpstreamHandler = (request: IncomingMessage, response: ServerResponse, seen: SeenRequest) => void

export interface Upstream extends Listening {
  readonly url: string
  /** Every request that arrived, oldest first. */
  readonly requests: readonly SeenRequest[]
  /** From now on answers with this handler. */
  answer(handler: UpstreamHandler): void
}

/** A real HTTP server that records each request; unless told otherwise it answers, in JSON, what it saw. */
export async function startUpstream(handler: UpstreamHandler = answerWhatWasSeen): Promise<Upstream> {
  const requests: SeenRequest[] = []
  let current = handler
  const server = createServer((request, response) => {
    const seen = watchRequest(request)
    requests.push(seen)
    current(request, response, seen)
  })
  const listening = await listen(server)
  return {
    ...listening,
    url: `http://127.0.0.1:${listening.port}`,
    requests,
    answer(next) {
      current = next
    },
  }
}

/** The default handler: reads the whole body and answers method, url, rawHeaders and body. */
function answerWhatWasSeen(request: IncomingMessage, response: ServerResponse, seen: SeenRequest): void {
  request.resume()
  request.on('end', () => {
    const { method, url, rawHeaders } = seen
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ method, url, rawHeaders, body: seen.body().toString() }))
  })
}

/** Called with each piece that arrives, and with all that arrived on this connection before and with it. */
export type RawHandler = (socket: Socket, received: string, connection: number) => void

export interface RawUpstream extends Listening {
  readonly url: string
  /** What arrived on each connection, byte for byte (latin1), oldest first. */
  readonly connections: readonly string[]
}

/**
 * A TCP server that speaks no HTTP by itself: it records the bytes of each connection, and answers the given bytes once
 * a request's headers are there, or does what the given function does.
 */
export async function startRawUpstream(answer: string | Buffer | RawHandler): Promise<RawUpstream> {
  const connections: string[] = []
  const handle = typeof answer === 'function' ? answer : answerOnce(answer)
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    const connection = connections.push('') - 1
    socket.on('data', (piece: Buffer) => {
      const received = `${connections[connection]}${piece.toString('latin1')}`
      connections[connection] = received
      handle(socket, received, connection)
    })
    socket.on('end', () => socket.end())
  })
  const listening = await listen(server)
  return { ...listening, url: `http://127.0.0.1:${listening.port}`, connections }
}

function answerOnce(bytes: string | Buffer): RawHandler {
  const answered = new WeakSet<Socket>()
  return (socket, received) => {
    if (answered.has(socket) || !received.includes('\r\n\r\n')) return
    answered.add(socket)
    socket.write(bytes, 'latin1')
  }
}
