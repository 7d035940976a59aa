import { connect, type Socket } from 'node:net'
import { connectTls } from '../../test/harness/caller-certificates.ts'

/** What a caller sends, and how it behaves. */
export interface Sending {
  /** Latin1. */
  readonly bytes: string
  readonly listener: 'main' | 'tls'
  /** Where the bytes are cut into pieces. */
  readonly cuts: readonly number[]
  /** Ends its side once no more comes; waits for the gateway to close; or breaks the connection. */
  readonly manner: 'ends' | 'waits' | 'breaks'
  /** Its answer is awaited, however long that takes. */
  readonly patient?: boolean
}

export interface Exchanged {
  /** Latin1. */
  readonly received: string
  /** False where it was still open after {@link mostMilliseconds}. */
  readonly closed: boolean
}

/** Far above each limit of the gateway's that may end a connection. */
const mostMilliseconds = 9000

/** Silence after which a caller that ends takes what has come for everything: behind an answer, and before one. */
const quiet = { answered: 15, unanswered: 150 }

/** Sends it all and resolves once the connection is closed. Never rejects. */
export function exchange(
  port: number,
  { bytes, listener, cuts, manner, patient = false }: Sending,
): Promise<Exchanged> {
  return new Promise((resolve) => {
    let received = ''
    const socket: Socket =
      listener === 'tls'
        ? connectTls(port, { allowHalfOpen: true })
        : connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    let silence: NodeJS.Timeout | undefined
    const limit = setTimeout(() => finish(false), mostMilliseconds)
    const finish = (closed: boolean) => {
      clearTimeout(silence)
      clearTimeout(limit)
      socket.destroy()
      resolve({ received, closed })
    }
    const listen = () => {
      clearTimeout(silence)
      const upgraded = received.includes('HTTP/1.1 101 ')
      if ((manner === 'waits' && !upgraded) || (patient && received === '')) return
      silence = setTimeout(() => socket.end(), received === '' ? quiet.unanswered : quiet.answered)
    }
    socket.on('data', (piece: Buffer) => {
      received += piece.toString('latin1')
      listen()
    })
    socket.on('end', () => socket.end())
    socket.on('error', () => {})
    socket.on('close', () => finish(true))
    void writePieces(socket, bytes, cuts).then(() => {
      if (manner === 'breaks') socket.destroy()
      else listen()
    })
  })
}

async function writePieces(socket: Socket, bytes: string, cuts: readonly number[]): Promise<void> {
  let from = 0
  for (const cut of [...[...cuts].sort((one, other) => one - other), bytes.length]) {
    if (cut <= from) continue
    await new Promise<void>((resolve) => {
      socket.once('close', () => resolve())
      socket.write(bytes.slice(from, cut), 'latin1', () => resolve())
    })
    await new Promise((resolve) => setTimeout(resolve, 1))
    from = cut
  }
}
