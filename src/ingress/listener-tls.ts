import { constants, X509Certificate } from 'node:crypto'
import type { Server as AnyServer } from 'node:http'
import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import {
  createSecureContext,
  type SecureContextOptions,
  type TLSSocket,
  type TlsOptions,
  Server as TlsServer,
} from 'node:tls'
import { z } from 'zod'
import { clientCertificateOptions, readCertificate } from '../base/client-certificate.ts'
import { connectionId } from '../base/connection.ts'
import { type Derived, deriveFrom } from '../base/derived.ts'
import { faultRule, type OptionFault } from '../base/fault-rule.ts'
import { KeyFault, keyFaultOf, readPrivateKey, unfoldPem } from '../base/private-key.ts'
import { certificateFile, oneOf } from '../base/scalars.ts'

const keys = {
  ...clientCertificateOptions,
  client_ca: certificateFile()
    .optional()
    .describe('PEM, the authorities that client certificates are accepted from; no other is'),
  client_certificate: oneOf('none', 'optional', 'required')
    .prefault('none')
    .describe(
      '`optional`: callers may present one, and one that client_ca does not vouch for ends the connection; `required`: without one there is none',
    ),
}

/** With it a listener speaks TLS, 1.2 at least. Files are read again when they change. */
export const listenerTlsOptions = z.strictObject(keys).check(faultRule(Object.keys(keys), findListenerTlsFault))

export type ListenerTlsOptions = z.output<typeof listenerTlsOptions>

function findListenerTlsFault(given: ListenerTlsOptions): OptionFault | undefined {
  if (given.client_certificate !== 'none' && given.client_ca === undefined)
    return {
      path: ['client_certificate'],
      message: `is ${given.client_certificate}, and nothing says whose certificates are accepted: give it client_ca`,
    }
  if (given.client_certificate === 'none' && given.client_ca !== undefined)
    return {
      path: ['client_ca'],
      message:
        'stands beside client_certificate: none, so that nobody is asked for one; write optional or required, or remove it',
    }
  return keyFaultOf(() => deriveContext(given))
}

/** Told what becomes of a listener's TLS, for the log. */
export interface ListenerTlsTells {
  renewed(): void
  /** A changed file was not taken; what was good before goes on. */
  notRenewed(reason: string): void
  /** A connection ended before there could be a request on it. */
  handshakeFailed(reason: string, socket: TLSSocket): void
}

export interface ListenerTls {
  /** What `https.createServer` takes beside the rest. */
  readonly serverOptions: TlsOptions
  /** @throws {TypeError} if the server speaks no TLS, or asks for certificates otherwise than the listener is to */
  attach(server: AnyServer): void
  /**
   * True for a connection whose certificate was accepted by another client_ca than that of now: whoever an authority
   * vouched for that is not believed any more could otherwise keep a connection open, and go on.
   */
  isOutdated(socket: Socket): boolean
}

export function createListenerTls(
  options: ListenerTlsOptions & { readonly handshakeTimeout: number },
  tell: ListenerTlsTells,
): ListenerTls {
  const context = deriveContext(options, (error) => tell.notRenewed(reasonOf(error)))
  const asking = {
    requestCert: options.client_certificate !== 'none',
    rejectUnauthorized: options.client_certificate === 'required',
  }
  let renewal: Renewal | undefined
  return {
    serverOptions: { ...context.read(), ...asking, handshakeTimeout: options.handshakeTimeout },
    isOutdated: (socket) => asking.requestCert && renewal?.isOutdated(socket) === true,
    attach(server) {
      requireFit(server, asking)
      renewal = renewWith(server, context, tell)
      if (asking.requestCert) refuseUnverified(server, tell)
      server.on('tlsClientError', (error: NodeJS.ErrnoException & { reason?: string }, socket) => {
        // Whoever connects and goes away, as a load balancer does to see whether anybody is there, is not worth a line.
        if (socket.bytesRead === 0 && error.code === 'ECONNRESET' && !socket.authorizationError) return
        tell.handshakeFailed(`${socket.authorizationError ?? error.code ?? error.name}`, socket)
      })
    },
  }
}

type Asking = Required<Pick<TlsOptions, 'requestCert' | 'rejectUnauthorized'>>

/** A server of somebody's own that does not ask would let everybody in where a certificate is required. */
function requireFit(server: AnyServer, { requestCert, rejectUnauthorized }: Asking): asserts server is Server {
  const made = 'https.createServer(serverOptions, handler)'
  if (!(server instanceof TlsServer)) throw new TypeError(`the listener has tls: attach it to a server of ${made}`)
  // Node looks at these with each connection, and has them from serverOptions alone.
  const given = server as Partial<Asking>
  if (given.requestCert !== requestCert || (requestCert && given.rejectUnauthorized !== rejectUnauthorized))
    throw new TypeError(`the server asks for client certificates otherwise than the listener is to: make it by ${made}`)
}

interface Renewal {
  isOutdated(socket: Socket): boolean
}

/** Each new connection gets the certificate as it is now; before Node's own listener, which takes what is set then. */
function renewWith(server: Server, context: Derived<SecureContextOptions>, tell: ListenerTlsTells): Renewal {
  let current = context.read()
  server.setSecureContext(current)
  const renew = () => {
    const now = context.recent()
    if (now === current) return
    const isOther = now.ca !== current.ca
    current = now
    server.setSecureContext(now)
    tell.renewed()
    // They would be ended at their next request, which is lost then.
    if (isOther) server.closeIdleConnections()
  }
  // By its ends: the handshake, which the context belongs to, begins on another socket than the requests come on.
  const acceptedBy = new Map<string, { readonly ca: SecureContextOptions['ca'] }>()
  server.prependListener('connection', (stream) => {
    const socket = stream as Socket
    renew()
    const id = connectionId(socket)
    const own = { ca: current.ca }
    acceptedBy.set(id, own)
    socket.once('close', () => acceptedBy.get(id) === own && acceptedBy.delete(id))
  })
  return {
    isOutdated(socket) {
      renew()
      const own = acceptedBy.get(connectionId(socket))
      return own !== undefined && own.ca !== current.ca
    },
  }
}

/**
 * With `optional`, Node lets a certificate pass that nobody vouches for, and only says so. To take it for none would let
 * somebody in who shows a forged or expired one where a route asks for nothing; nothing of such a connection is read.
 */
function refuseUnverified(server: Server, tell: ListenerTlsTells): void {
  server.prependListener('secureConnection', (socket) => {
    if (socket.authorized || !socket.getPeerX509Certificate()) return
    tell.handshakeFailed(`${socket.authorizationError}`, socket)
    socket.destroy()
  })
}

/** What the certificate files make together: they are taken only if they fit. */
function deriveContext(options: ListenerTlsOptions, tell?: (error: unknown) => void): Derived<SecureContextOptions> {
  const { certificate, private_key: key, private_key_passphrase: passphrase, client_ca: ca } = options
  const secureOptions =
    constants.SSL_OP_NO_RENEGOTIATION |
    // A resumed session keeps what was once verified: each connection is to prove anew who calls.
    (options.client_certificate === 'none' ? 0 : constants.SSL_OP_NO_TICKET)
  return deriveFrom(
    { certificate, key, passphrase, ca },
    (texts) => {
      const privateKey = readPrivateKey(texts.key, passphrase && texts.passphrase)
      const pem = readCertificates('certificate', texts.certificate)
      readCertificate(pem, privateKey)
      const context: SecureContextOptions = {
        cert: pem,
        key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
        ...(ca && { ca: readAuthorities(texts.ca) }),
        minVersion: 'TLSv1.2',
        secureOptions,
      }
      requireUsable(context)
      return context
    },
    tell,
  )
}

const blocks = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g

/** A certificate that another one issued, and that may issue none, vouches for nobody: OpenSSL takes it, and refuses all. */
function readAuthorities(text: string): string {
  const pem = readCertificates('client_ca', text)
  for (const block of pem.match(blocks) ?? []) {
    const { ca, issuer, subject } = new X509Certificate(block)
    if (!ca && issuer !== subject)
      throw new KeyFault('client_ca', 'has a certificate in it that is of no authority, and can vouch for nobody')
  }
  return pem
}

/** The certificates of a PEM. OpenSSL would leave out from the first bad one on, in silence. @throws {KeyFault} */
function readCertificates(option: string, text: string): string {
  const pem = unfoldPem(text)
  const found = pem.match(blocks) ?? []
  if (found.length === 0 || found.length !== pem.split('-----BEGIN CERTIFICATE-----').length - 1)
    throw new KeyFault(option, 'has a certificate in it that is cut off, or none')
  if (!found.every(isCertificate)) throw new KeyFault(option, 'has a certificate in it that cannot be read')
  return `${found.join('\n')}\n`
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

/** Keys that are too weak, for one, TLS refuses only when they are used. */
function requireUsable(context: SecureContextOptions): void {
  try {
    createSecureContext(context)
  } catch (error) {
    throw new KeyFault('certificate', `cannot be used for TLS (${(error as NodeJS.ErrnoException).code})`)
  }
}

function reasonOf(error: unknown): string {
  return error instanceof KeyFault ? `${error.option} ${error.message}` : 'cannot be used'
}
