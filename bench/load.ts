import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { type Listening, listen } from '../test/harness/listen.ts'

const connections = 64
const bodyLength = 1024
const answer = Buffer.from(
  [
    'HTTP/1.1 200 OK',
    'Content-Type: application/json',
    'Date: Sat, 01 Jan 2026 00:00:00 GMT',
    `Content-Length: ${bodyLength}`,
    '',
    `"${'x'.repeat(bodyLength - 2)}"`,
  ].join('\r\n'),
)

/** The service behind every contender. It speaks just enough HTTP to cost next to nothing. */
export interface Upstream extends Listening {
  /** The head of the request that came last. */
  lastHead(): string
}

/** Answers every request, of which none may have a body, with the same 1 KB. */
export async function startUpstream(): Promise<Upstream> {
  let last: Buffer = Buffer.alloc(0)
  const server = createServer({ noDelay: true }, (socket) => {
    let begun: Buffer | undefined
    socket.on('data', (piece) => {
      const head: Buffer = begun ? Buffer.concat([begun, piece]) : piece
      const whole = head.subarray(-4).equals(headEnd)
      begun = whole ? undefined : head
      if (!whole) return
      last = head
      socket.write(answer)
    })
  })
  return { ...(await listen(server)), lastHead: () => last.toString('latin1') }
}

const headEnd = Buffer.from('\r\n\r\n')
const goodStatus = Buffer.from('HTTP/1.1 200')

/** What was asked and answered since the last look. */
export interface Answered {
  readonly requests: number
  readonly failures: number
  /** Milliseconds, in ascending order. */
  readonly latencies: Float64Array
}

export interface Load {
  /** What has been answered since the last call. */
  take(): Answered
  stop(): Promise<void>
}

/**
 * Keeps 64 connections busy: on each, the next request goes out once the last one is answered. It is always the same one,
 * or what the function gives each time.
 */
export async function startLoad(port: number, request: string | (() => Buffer)): Promise<Load> {
  const nextRequest = typeof request === 'string' ? always(Buffer.from(request)) : request
  let latencies: number[] = []
  let failures = 0
  let stopping = false
  const sockets = await Promise.all(Array.from({ length: connections }, () => open(port)))
  // Not `once`: it fails with the socket, while nobody waits for it yet.
  const ended = Promise.all(sockets.map((socket) => new Promise((resolve) => socket.once('close', resolve))))
  for (const socket of sockets) {
    ask(socket, nextRequest, (milliseconds, good) => {
      latencies.push(milliseconds)
      if (!good) failures += 1
      return !stopping
    })
    socket.on('close', () => {
      if (!stopping) failures += 1
    })
  }
  return {
    take() {
      const taken = { requests: latencies.length, failures, latencies: Float64Array.from(latencies).sort() }
      latencies = []
      failures = 0
      return taken
    },
    async stop() {
      stopping = true
      await ended
    },
  }
}

function always(bytes: Buffer): () => Buffer {
  return () => bytes
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  await once(socket, 'connect')
  return socket.on('error', () => socket.destroy())
}

/** Sends one request after the other, as long as `next` wants another one. */
function ask(socket: Socket, nextRequest: () => Buffer, next: (milliseconds: number, good: boolean) => boolean): void {
  let missing: number | undefined
  let begun: Buffer | undefined
  let sentAt = performance.now()
  let good = false
  socket.on('data', (piece) => {
    if (missing === undefined) {
      const head: Buffer = begun ? Buffer.concat([begun, piece]) : piece
      const end = head.indexOf(headEnd)
      begun = end < 0 ? head : undefined
      if (end < 0) return
      good = head.subarray(0, goodStatus.length).equals(goodStatus)
      missing = end + headEnd.length + (good ? bodyLength : 0) - head.length
    } else missing -= piece.length
    if (missing > 0) return
    const exact = missing === 0
    missing = undefined
    const now = performance.now()
    const goOn = next(now - sentAt, good && exact)
    // After anything but the expected answer nobody knows where the next one begins.
    if (!goOn || !good || !exact) {
      socket.destroy()
      return
    }
    sentAt = now
    socket.write(nextRequest())
  })
  socket.write(nextRequest())
}
