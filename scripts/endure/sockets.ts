import { connect, createServer, type Socket } from 'node:net'
import { type Listening, listen } from '../../test/harness/listen.ts'
import { socketAnswer } from '../../test/harness/web-socket.ts'

/** An upstream of which each connection becomes a WebSocket that repeats what comes. */
export async function startSocketUpstream(): Promise<Listening & { readonly url: string }> {
  const server = createServer((socket) => {
    let head = ''
    const read = (piece: Buffer) => {
      head += piece.toString('latin1')
      if (!head.includes('\r\n\r\n')) return
      socket.off('data', read)
      socket.write(socketAnswer())
      socket.on('data', (more: Buffer) => socket.write(more))
    }
    socket.on('data', read)
  })
  const listening = await listen(server)
  return { ...listening, url: `http://127.0.0.1:${listening.port}` }
}

/** A caller's connection, and all that came on it. */
export interface Held {
  readonly socket: Socket
  received(): string
  /** Resolves with true once that has come, with false when the connection ends before, or nothing of it comes in 20 s. */
  has(text: string): Promise<boolean>
  /** Milliseconds until it was closed. */
  readonly closed: Promise<number>
}

const patience = 20_000

/** Opens a connection and sends bytes on it. Never rejects. */
export function hold(port: number, bytes: string): Held {
  const start = performance.now()
  let received = ''
  const looks = new Set<() => void>()
  const socket = connect({ port, host: '127.0.0.1' })
  socket.on('error', () => {})
  socket.on('data', (piece: Buffer) => {
    received += piece.toString('latin1')
    for (const look of looks) look()
  })
  socket.write(bytes, 'latin1')
  const closed = new Promise<number>((resolve) => socket.once('close', () => resolve(performance.now() - start)))
  return {
    socket,
    received: () => received,
    closed,
    has: (text) =>
      new Promise((resolve) => {
        const end = (found: boolean) => {
          clearTimeout(timer)
          looks.delete(look)
          resolve(found)
        }
        const look = () => received.includes(text) && end(true)
        const timer = setTimeout(() => end(false), patience)
        looks.add(look)
        void closed.then(() => end(received.includes(text)))
        look()
      }),
  }
}

/** Opens so many that send the same, a few at a time, and resolves once that has come on each, or has not. */
export async function holdMany(
  count: number,
  { port, bytes, until }: { readonly port: number; readonly bytes: string; readonly until: string },
): Promise<{ readonly all: readonly Held[]; readonly ready: number }> {
  const all: Held[] = []
  let ready = 0
  const atOnce = 100
  while (all.length < count) {
    const some = Array.from({ length: Math.min(atOnce, count - all.length) }, () => hold(port, bytes))
    all.push(...some)
    for (const found of await Promise.all(some.map((each) => each.has(until)))) ready += found ? 1 : 0
  }
  return { all, ready }
}
