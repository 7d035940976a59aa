import type { ClientRequest } from 'node:http'
import { TLSSocket } from 'node:tls'
import { GatewayError } from '../base/errors.ts'
import { givingBack } from './body-memory.ts'
import type { ForwardRequest } from './exchange.ts'
import { flushHead } from './flush-head.ts'
import type { SilenceWatch } from './silence.ts'

export interface BodySending {
  readonly exchange: ForwardRequest
  readonly proxyRequest: ClientRequest
  readonly watch: SilenceWatch
  fail(error: GatewayError): void
}

/** Calls back as soon as the request's connection stands, TLS included. */
export function whenConnected(proxyRequest: ClientRequest, callback: () => void): void {
  const { socket } = proxyRequest
  if (proxyRequest.reusedSocket || !socket) callback()
  else socket.once(socket instanceof TLSSocket ? 'secureConnect' : 'connect', callback)
}

/** Sends a body that has been read already. */
export function sendKeptBody({ exchange, proxyRequest, watch, fail }: BodySending, body: Buffer): void {
  watch.expect(exchange.upstream.timeouts.idle, () => fail(deafUpstream()))
  proxyRequest.end(body)
}

function deafUpstream(): GatewayError {
  return new GatewayError('upstream_timeout', { reason: 'the upstream takes no more of the request body' })
}

/**
 * Sends the caller's body on, as fast as the upstream takes it, and tells apart who is silent. Gives back the function
 * that stops it.
 */
export function sendBody({ exchange, proxyRequest, watch, fail }: BodySending): () => void {
  const { request, response, bodyIdle, bodyLimit = Number.POSITIVE_INFINITY, upstream } = exchange
  let sent = 0
  /** True unless somebody around the gateway looks at the body too, or has put it together from memory of its own. */
  const isOurs = () => request.listenerCount('data') === 1 && request.socket.bytesRead >= sent

  function awaitCaller(): void {
    watch.expect(bodyIdle, () =>
      fail(new GatewayError('request_timeout', { reason: 'silence in the request body', closeConnection: true })),
    )
  }
  function awaitUpstream(): void {
    watch.expect(upstream.timeouts.idle, () => fail(deafUpstream()))
  }
  function onData(chunk: Buffer): void {
    sent += chunk.length
    if (sent > bodyLimit) {
      fail(new GatewayError('body_too_large', { reason: `more than ${bodyLimit} bytes`, closeConnection: true }))
    } else if (proxyRequest.write(chunk, isOurs() ? givingBack(chunk) : undefined)) {
      awaitCaller()
    } else {
      request.pause()
      awaitUpstream()
    }
  }
  function onDrain(): void {
    awaitCaller()
    request.resume()
  }
  function onEnd(): void {
    awaitUpstream()
    proxyRequest.end()
  }

  // The head goes ahead of the body, so that the upstream can refuse it before it is sent.
  flushHead(proxyRequest)
  if (exchange.sendContinue) response.writeContinue()
  awaitCaller()
  request.on('data', onData).on('end', onEnd)
  proxyRequest.on('drain', onDrain)
  return () => {
    request.off('data', onData).off('end', onEnd).pause()
    proxyRequest.off('drain', onDrain)
  }
}
