import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { GatewayError } from '../base/errors.ts'

/** What Node hands over when a caller asks for an upgrade. From then on nobody but us looks at the connection. */
export interface UpgradeRequest {
  readonly request: IncomingMessage
  readonly socket: Socket
  /** What has come behind the request. */
  readonly head: Buffer
  /** The responses to earlier requests on this connection that are not out yet, oldest first. */
  readonly earlier: readonly ServerResponse[]
}

/** A caller's connection, from the request for an upgrade to the answer. */
export interface UpgradeConnection {
  readonly socket: Socket
  /** Takes any answer but 101; the connection is closed behind it. */
  readonly response: ServerResponse
  /** Resolves once all earlier answers are out; the response cannot be written before. @throws GatewayError `caller_gone` */
  turn(): Promise<void>
  /**
   * Answers 101 with these headers, and gives back what has come early. From here on the socket speaks another protocol.
   * @throws GatewayError `invalid_upgrade` where more has come than is kept
   */
  accept(rawHeaders: string[]): readonly Buffer[]
}

/** A caller who does not wait for the answer may send this much. What is more is read and dropped: unread, nobody sees it go. */
const mostEarly = 64 * 1024
const lingerMilliseconds = 1000

/** Does for the connection what Node does for other requests, and does no more for this one. */
export function openUpgrade({ request, socket, head, earlier }: UpgradeRequest): UpgradeConnection {
  // First of all: an error that nobody listens for ends the process.
  socket.on('error', () => socket.destroy())
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  const early: Buffer[] = head.length > 0 ? [head] : []
  let held = head.length

  function onData(chunk: Buffer): void {
    early.push(chunk)
    held += chunk.length
    if (held <= mostEarly) return
    early.length = 0
    // Behind an answer that has no end it would be dropped without end.
    if (!response.socket) socket.destroy()
  }
  /** As everywhere else, a caller that ends its side before the answer has gone away. */
  function onEnd(): void {
    socket.destroy()
  }
  function onDrain(): void {
    const writing = [...earlier, response].find((each) => each.socket === socket)
    writing?.emit('drain')
  }
  function onClose(): void {
    for (const each of [...earlier, response]) each.destroy()
  }
  /** What the caller sends behind the request is dropped: unread, it would reset the connection and lose the answer. */
  function onFinish(): void {
    response.detachSocket(socket)
    socket.off('data', onData).resume().end()
    const timer = setTimeout(() => socket.destroy(), lingerMilliseconds)
    socket.once('close', () => clearTimeout(timer))
  }

  socket.setTimeout(0)
  socket.on('data', onData).on('end', onEnd).on('drain', onDrain).on('close', onClose).resume()
  response.once('finish', onFinish)
  const earlierAreOut = Promise.all(earlier.map((each) => new Promise((resolve) => each.once('close', resolve))))
  const closed = new Promise((resolve) => socket.once('close', resolve))
  return {
    socket,
    response,
    async turn() {
      await Promise.race([earlierAreOut, closed])
      if (!socket.writable) throw new GatewayError('caller_gone')
      response.assignSocket(socket)
    },
    accept(rawHeaders) {
      if (held > mostEarly)
        throw new GatewayError('invalid_upgrade', { reason: `more than ${mostEarly} bytes before the answer` })
      // Node writes a head that has no body behind it as UTF-8, and would make two bytes of each one above ASCII.
      socket.setDefaultEncoding('latin1')
      response.off('finish', onFinish).writeHead(101, 'Switching Protocols', rawHeaders).flushHeaders()
      response.detachSocket(socket)
      socket.off('data', onData).off('end', onEnd).off('drain', onDrain).off('close', onClose)
      return early
    },
  }
}
