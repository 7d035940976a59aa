import type { Clock } from '../base/clock.ts'
import { GatewayError } from '../base/errors.ts'
import type { ForwardRequest } from './exchange.ts'
import { createSilenceWatch } from './silence.ts'

/** How many bytes of bodies may be kept at once, to be sent again. */
export interface BodyBudget {
  /** Sets so many aside, and gives back the function that returns them; `undefined` where there are not so many left. */
  take(bytes: number): (() => void) | undefined
}

/** A budget of so many bytes. */
export function createBodyBudget(bytes: number): BodyBudget {
  let left = bytes
  return {
    take(wanted) {
      if (wanted > left) return undefined
      left -= wanted
      return () => {
        left += wanted
      }
    },
  }
}

/** Above this no body is kept, and all that are kept together. */
export const mostKeptBytes = 32 * 1024 * 1024

/** The one for all gateways in the process: callers who send many bodies at once must not fill its memory with them. */
export const processBodyBudget: BodyBudget = createBodyBudget(mostKeptBytes)

/** The size of a body that is to be kept, so that the request can be sent again with another token; of others none. */
export function keepableLength({ framing, reauthorize, upstream }: ForwardRequest): number | undefined {
  if (!reauthorize || framing.kind !== 'length' || framing.length === 0) return undefined
  return framing.length <= upstream.replayBody ? framing.length : undefined
}

/**
 * Reads the caller's body whole, before anything of the request is sent.
 * @throws GatewayError `request_timeout` for a caller that falls silent, `caller_gone` for one that goes away
 */
export async function readBody(exchange: ForwardRequest, length: number, clock: Clock): Promise<Buffer> {
  const { request, response, bodyIdle, sendContinue } = exchange
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
  const watch = createSilenceWatch(clock)
  const body = Buffer.alloc(length)
  let filled = 0

  function awaitMore(): void {
    watch.expect(bodyIdle, () =>
      reject(new GatewayError('request_timeout', { reason: 'silence in the request body', closeConnection: true })),
    )
  }
  function onData(chunk: Buffer): void {
    // Copied: a caller that sends byte by byte would have each one keep a whole network buffer.
    filled += chunk.copy(body, filled)
    awaitMore()
  }
  const onEnd = () => resolve(body)
  const onGone = () => reject(new GatewayError('caller_gone'))

  if (sendContinue) response.writeContinue()
  awaitMore()
  request.on('data', onData).once('end', onEnd)
  response.once('close', onGone)
  try {
    return await promise
  } finally {
    watch.stop()
    request.off('data', onData).off('end', onEnd)
    if (!request.readableEnded) request.pause()
    response.off('close', onGone)
  }
}
