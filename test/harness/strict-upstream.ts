import { readRequests, type WireRequest } from './strict-http.ts'
import { type RawUpstream, startRawUpstream } from './upstream.ts'

/** An upstream that records bytes, and reads them by the letter alone. */
export interface StrictUpstream extends RawUpstream {
  /** Every request on every connection so far. @throws Error where two readers could find other requests */
  seen(): WireRequest[]
  /** The whole ones, in the order in which they were answered. */
  readonly answered: readonly WireRequest[]
}

/** Starts one. It answers each whole request with 200 and `seen: METHOD target`. */
export async function startStrictUpstream(): Promise<StrictUpstream> {
  const counts = new WeakMap<object, number>()
  const answered: WireRequest[] = []
  const upstream = await startRawUpstream((socket, received) => {
    const whole = wholeRequests(received)
    for (const request of whole.slice(counts.get(socket) ?? 0)) {
      const { method, target } = request
      const body = `seen: ${method} ${target}`
      answered.push(request)
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${method === 'HEAD' ? '' : body}`,
        'latin1',
      )
    }
    counts.set(socket, whole.length)
  })
  return { ...upstream, answered, seen: () => upstream.connections.flatMap(readRequests) }
}

/** What cannot be read is not answered; `seen` tells of it. */
function wholeRequests(received: string): WireRequest[] {
  try {
    return readRequests(received).filter(({ complete }) => complete)
  } catch {
    return []
  }
}
