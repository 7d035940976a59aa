import type { Socket } from 'node:net'
import { type Clock, callAt } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import { createSilenceWatch } from './silence.ts'

export interface TunnelOptions {
  readonly caller: Socket
  readonly upstream: Socket
  /** What the caller has sent already. */
  readonly early: readonly Buffer[]
  /** What the upstream has sent already. */
  readonly head: Buffer
  /** When to end it, in milliseconds since the epoch. */
  readonly endAt?: number | undefined
  /** How long a side may take nothing of what there is for it, in milliseconds. */
  readonly idle: number
  readonly clock: Clock
}

/** How an upgraded connection ended. */
export interface TunnelEnd {
  readonly reason: 'caller' | 'upstream' | 'stalled' | 'token_expired' | 'stopping'
  /** Bytes from the caller, and to it. */
  readonly bytesIn: number
  readonly bytesOut: number
}

const keepAliveMilliseconds = 30_000
/** For the other side, to end too. */
const lingerMilliseconds = 1000

/**
 * Ties two sockets together: every byte either way, as fast as the receiver takes it, and the end of one side is the end
 * of the other. Between two bytes there may be any length of time, unless one is there that is not taken. Resolves when
 * both are closed; never rejects.
 */
export function startTunnel({ caller, upstream, early, head, endAt, idle, clock }: TunnelOptions): Promise<TunnelEnd> {
  const { promise, resolve } = Promise.withResolvers<TunnelEnd>()
  const watch = createSilenceWatch(clock)
  const holdUps = { caller: createSilenceWatch(clock), upstream: createSilenceWatch(clock) }
  const bytes = { caller: 0, upstream: 0 }
  let reason: TunnelEnd['reason'] | undefined
  let cut = false

  function destroyBoth(): void {
    caller.destroy()
    upstream.destroy()
  }
  /** Once it has begun to end, it is cut when for so long nothing moves. */
  function cutAfter(milliseconds: number): void {
    if (!cut) watch.expect(milliseconds, destroyBoth)
  }
  /** Passes on what has come before, and then all that comes. */
  function pump(side: 'caller' | 'upstream', sink: Socket, before: readonly Buffer[]): void {
    const source = side === 'caller' ? caller : upstream
    const pass = (chunk: Buffer) => {
      if (cut) return
      bytes[side] += chunk.length
      if (reason) watch.renew()
      if (!sink.write(chunk)) holdUp()
    }
    // Nobody sees a sender vanish who is not read: without an end, one after the other could fill the listener for good.
    const holdUp = () => {
      source.pause()
      holdUps[side].expect(idle, () => {
        reason ??= 'stalled'
        destroyBoth()
      })
    }
    for (const chunk of before) pass(chunk)
    source.on('data', pass)
    sink.on('drain', () => {
      holdUps[side].stop()
      source.resume()
    })
    if (!sink.writableNeedDrain) source.resume()
    source.on('end', () => {
      reason ??= side
      holdUps[side].stop()
      cutAfter(idle)
      sink.end()
    })
    sink.on('finish', () => cutAfter(lingerMilliseconds))
  }
  function watchClose(side: 'caller' | 'upstream', socket: Socket, other: Socket): void {
    socket.on('error', (error) => {
      if (error instanceof GatewayError) reason ??= 'stopping'
      socket.destroy()
    })
    socket.on('close', () => {
      reason ??= side
      // What came from a side that has ended well still goes out; nobody is there any more to read what comes back.
      if (side === 'caller' && !socket.readableEnded) other.destroy()
      else if (side === 'caller' || !socket.readableEnded) other.destroySoon()
      if (!socket.readableEnded) cutAfter(idle)
      if (other.closed) finish()
    })
  }
  function end(why: TunnelEnd['reason']): void {
    reason ??= why
    cutAfter(lingerMilliseconds)
    cut = true
    for (const socket of [caller, upstream]) socket.resume().destroySoon()
  }
  function finish(): void {
    cancelEnd()
    for (const each of [watch, holdUps.caller, holdUps.upstream]) each.stop()
    resolve({ reason: reason ?? 'caller', bytesIn: bytes.caller, bytesOut: bytes.upstream })
  }

  for (const socket of [caller, upstream]) prepare(socket)
  watchClose('caller', caller, upstream)
  watchClose('upstream', upstream, caller)
  const cancelEnd = endAt === undefined ? () => {} : callAt(clock, endAt, () => end('token_expired'))
  pump('caller', upstream, early)
  pump('upstream', caller, head.length > 0 ? [head] : [])
  return promise
}

function prepare(socket: Socket): void {
  // Without it Node would close a side whose other end has only said that it will send no more.
  socket.allowHalfOpen = true
  socket.setTimeout(0)
  socket.setNoDelay(true)
  // A peer that has vanished without a word is found out.
  socket.setKeepAlive(true, keepAliveMilliseconds)
}
