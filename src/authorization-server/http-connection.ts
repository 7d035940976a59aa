import { getCACertificates } from 'node:tls'
import { Agent, buildConnector, type Response, fetch as undiciFetch } from 'undici'
import type { PresentedCertificate } from '../base/client-certificate.ts'

/** What a request of ours to an authorization server may say. */
export interface HttpInit {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

export interface ConnectionOptions {
  /** PEM certificates, added to the system's roots. */
  readonly ca?: string | undefined
  /** Milliseconds until it is there, and for a whole exchange, its body included. */
  readonly timeout: number
  /** What is presented to the server. */
  readonly certificate?: PresentedCertificate | undefined
}

/** A connection of one exchange's own. The only place that knows undici, which takes long to load. */
export interface Connection {
  /** Follows no redirect. */
  fetch(url: string, init: HttpInit, signal: AbortSignal): Promise<Response>
  /** What went wrong on it first: undici tells what was last, and so not the alert that a server ended it with. */
  fault(): Error | undefined
  destroy(): Promise<void>
}

/** Gives back what opens connections with these options; TLS sessions are resumed from one to the next. */
export function createConnector({ ca, timeout, certificate }: ConnectionOptions): () => Connection {
  const connect = buildConnector({
    timeout,
    ...(ca !== undefined && { ca: [...getCACertificates(), ca] }),
    ...(certificate && { cert: certificate.certificate, key: certificate.privateKey }),
  })
  return () => openConnection(connect)
}

function openConnection(connect: buildConnector.connector): Connection {
  let fault: Error | undefined
  const dispatcher = new Agent({
    connect(options, callback) {
      connect(options, (...[error, socket]) => {
        socket?.on('error', (next) => {
          fault ??= next
        })
        if (error) callback(error, null)
        else callback(null, socket)
      })
    },
    maxHeaderSize: 64 * 1024,
    pipelining: 0,
  })
  return {
    fetch: (url, init, signal) => undiciFetch(url, { ...init, dispatcher, redirect: 'manual', signal }),
    fault: () => fault,
    destroy: () => dispatcher.destroy(),
  }
}
