import { createHash } from 'node:crypto'
import { createServer, type Socket } from 'node:net'
import { servedPaths } from '../../test/attacks/lenient-servers.ts'
import { type Listening, listen } from '../../test/harness/listen.ts'
import { readRequests, type WireRequest } from '../../test/harness/strict-http.ts'

/** What is behind the gateway: a recording of nothing, which judges each request as it comes. */
export interface JudgingUpstream extends Listening {
  readonly url: string
  /** How many requests came. */
  count(): number
}

/** Says what is wrong with a request that arrived. */
export type Judge = (request: WireRequest) => string | undefined

/** A connection is read again from its first byte with each piece, so it does not live for ever. */
const mostRequests = 16

/**
 * Starts one that reads by the letter of RFC 9112 and answers each whole request, and a request for a WebSocket with 101
 * where it `speaks` that, and from then on repeats what comes.
 */
export async function startJudgingUpstream(
  judge: Judge,
  report: (fault: string) => void,
  speaks: 'http' | 'web-socket' = 'http',
): Promise<JudgingUpstream> {
  let count = 0
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let text = ''
    let judged = 0
    let answered = 0
    let upgraded = false
    socket.on('data', (piece: Buffer) => {
      if (upgraded) return void socket.write(piece)
      text += piece.toString('latin1')
      const requests = readOrReport(text, report)
      if (!requests) return void socket.destroy()
      for (const request of requests.filter(({ method }) => method !== '').slice(judged)) {
        judged++
        count++
        const fault = judge(request)
        if (fault !== undefined) report(`the upstream got ${describe(request)}: ${fault}`)
      }
      for (const request of requests.filter(({ complete }) => complete).slice(answered)) {
        answered++
        upgraded = answer(socket, request, { speaks, last: answered >= mostRequests })
      }
    })
    socket.on('end', () => socket.end())
  })
  const listening = await listen(server)
  return { ...listening, url: `http://127.0.0.1:${listening.port}`, count: () => count }
}

function readOrReport(text: string, report: (fault: string) => void): WireRequest[] | undefined {
  try {
    return readRequests(text)
  } catch (error) {
    report(`the upstream got what can be read in two ways: ${error}`)
    return undefined
  }
}

const describe = ({ method, target, headers }: WireRequest) =>
  JSON.stringify({ method, target, headers }).slice(0, 3000)

function answer(socket: Socket, request: WireRequest, { speaks, last }: { speaks: string; last: boolean }): boolean {
  const key = headerOf(request, 'sec-websocket-key')
  if (speaks === 'web-socket' && key !== undefined) {
    const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    return true
  }
  socket.write(
    `HTTP/1.1 200 OK\r\ncontent-length: 4\r\n${last ? 'connection: close\r\n' : ''}\r\n${request.method === 'HEAD' ? '' : 'seen'}`,
  )
  if (last) socket.end()
  return false
}

export function headerOf({ headers }: WireRequest, name: string): string | undefined {
  return headers.find(([each]) => each.toLowerCase() === name)?.[1]
}

const readings = new Map<string, boolean>()

/** True where some server would take a target for a guarded one. */
export function isGuarded(target: string): boolean {
  const path = target.replace(/\?.*$/s, '').slice(0, 200)
  const known = readings.get(path)
  if (known !== undefined) return known
  const guarded = servedPaths(path).some(({ path: served }) => /^\/admin(\/|$)/.test(served))
  if (readings.size > 100_000) readings.clear()
  readings.set(path, guarded)
  return guarded
}
