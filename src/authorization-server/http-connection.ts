import { Agent as HttpAgent, type IncomingMessage, request as requestHttp } from 'node:http'
import { Agent as HttpsAgent, request as requestHttps } from 'node:https'
import { pipeline, type Transform } from 'node:stream'
import { createSecureContext, getCACertificates } from 'node:tls'
import type { PresentedCertificate } from '../base/client-certificate.ts'

/** What a request of ours to an authorization server may say. */
export interface HttpInit {
  readonly method?: string
  readonly headers?: Record<string, string>
  readonly body?: string
}

export interface ConnectionOptions {
  /** PEM certificates, added to the roots that Node trusts. */
  readonly ca?: string | undefined
  /** Milliseconds for a whole exchange, from the connection to the end of the body. */
  readonly timeout: number
  /** What is presented to the server. */
  readonly certificate?: PresentedCertificate | undefined
}

/** An answer whose body is on its way. */
export interface IncomingAnswer {
  readonly status: number
  /** As they came: name, value, name, value. */
  readonly rawHeaders: readonly string[]
  readonly body: AsyncIterable<Uint8Array>
}

/** A request under way, on a connection of its own. */
export interface Sent {
  readonly answer: Promise<IncomingAnswer>
  /** Ends the connection. */
  destroy(): void
}

/** Follows no redirect. */
export type Send = (url: string, init: HttpInit, signal: AbortSignal) => Sent

const maxHeaderSize = 64 * 1024

/** Gives back what sends requests with these options; TLS sessions are resumed from one to the next. */
export function createSender({ ca, certificate }: Omit<ConnectionOptions, 'timeout'>): Send {
  const httpAgent = new HttpAgent({ keepAlive: false })
  let httpsAgent: HttpsAgent | undefined
  // Made once: of roots and keys among its options an agent would make it anew for each connection, in some 10 ms.
  const createHttpsAgent = () =>
    new HttpsAgent({
      keepAlive: false,
      secureContext: createSecureContext({
        ...(ca !== undefined && { ca: [...getCACertificates(), ca] }),
        ...(certificate && { cert: certificate.certificate, key: certificate.privateKey }),
      }),
    })
  return (url, { body, ...init }, signal) => {
    const target = targetOf(url)
    const options = { ...init, ...target, signal, maxHeaderSize }
    const overTls = target.protocol === 'https:'
    if (overTls) httpsAgent ??= createHttpsAgent()
    const request = overTls
      ? requestHttps({ ...options, agent: httpsAgent })
      : requestHttp({ ...options, agent: httpAgent })
    const answer = new Promise<IncomingMessage>((resolve, reject) => {
      request.on('response', resolve).on('error', reject)
      // An upgrade that nobody asked for ends it without either, and then no timeout would be heard of.
      request.on('close', () => reject(Object.assign(new Error('closed without an answer'), { code: 'ECONNRESET' })))
    })
    // An alert of the handshake is told by its own name only where nothing waits to be written.
    request.once('socket', (socket) => {
      if (overTls) socket.once('secureConnect', () => request.end(body))
      else request.end(body)
    })
    return { answer: answer.then(readHead), destroy: () => void request.destroy() }
  }
}

function targetOf(url: string) {
  const { protocol, hostname, port, pathname, search } = new URL(url)
  // The brackets of an IPv6 address belong to the URL alone.
  return { protocol, hostname: hostname.replace(/^\[|\]$/g, ''), port, path: pathname + search }
}

async function readHead(answer: IncomingMessage): Promise<IncomingAnswer> {
  return { status: answer.statusCode ?? 0, rawHeaders: answer.rawHeaders, body: await unpack(answer) }
}

/** Nobody asks for a packed body; some servers send one all the same. */
async function unpack(answer: IncomingMessage): Promise<AsyncIterable<Uint8Array>> {
  const encoding = answer.headers['content-encoding']?.toLowerCase()
  const isEmpty = [204, 205, 304].includes(answer.statusCode ?? 0) || answer.headers['content-length'] === '0'
  if (encoding === undefined || isEmpty) return answer
  const { createBrotliDecompress, createUnzip } = await import('node:zlib')
  const unpackers: Readonly<Record<string, () => Transform>> = {
    gzip: createUnzip,
    'x-gzip': createUnzip,
    deflate: createUnzip,
    br: createBrotliDecompress,
  }
  const unpacker = Object.hasOwn(unpackers, encoding) ? unpackers[encoding] : undefined
  // A fault of either is a fault of the last, which is read.
  return unpacker ? pipeline(answer, unpacker(), () => {}) : answer
}
