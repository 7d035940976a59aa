import { readRequests, type WireRequest } from './strict-http.ts'
import { type RawUpstream, startRawUpstream } from './upstream.ts'

/** An upstream that records bytes, and reads them by the letter alone. */
export interface StrictUpstream extends RawUpstream {
  /** Every request on every connection so far. @throws Error where two readers could find other requests */
  seen(): WireRequest[]
}

/** Starts one. It answers each whole request with 200 and `seen: METHOD target`. */
export async function startStrictUpstream(): Promise<StrictUpstream> {
  const answered = new WeakMap<object, number>()
  const upstream = await startRawUpstream((socket, received) => {
    const whole = wholeRequests(received)
    for (const { method, target } of whole.slice(answered.get(socket) ?? 0)) {
      const body = `seen: ${method} ${target}`
      socket.write(
        `HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${method === 'HEAD' ? '' : body}`,
        'latin1',
      )
    }
    answered.set(socket, whole.length)
  })
  return { ...upstream, seen: () => upstream.connections.flatMap(readRequests) }
}

/** What cannot be read is not answered; `seen` tells of it. */
function wholeRequests(received: string): WireRequest[] {
  try {
    return readRequests(received).filter(({ complete }) => complete)
  } catch {
    return []
  }
}
