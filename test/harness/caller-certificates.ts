import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { parseAnswer, type RawAnswer } from './raw-client.ts'
import { registerSecret } from './secrets.ts'

const read = (file: string) =>
  readFileSync(fileURLToPath(new URL(`certificates/callers/${file}`, import.meta.url)), 'utf8')

/** PEM of the authority that callers' certificates come from. */
export const callersAuthority = read('ca.pem')

/** PEM of another authority, of the same name. */
export const foreignAuthority = read('foreign-ca.pem')

const callerKey = registerSecret(read('caller.key'))
export const listenerKey = registerSecret(read('server.key'))
export const listenerCertificate = (name: 'server' | 'server-renewed' = 'server') => read(`${name}.pem`)

/** PEM of one of the callers that `certificates/callers/make.sh` made. */
const callerCertificate = (name: string) => read(`${name}.pem`)
export const callerX509 = (name: string) => new X509Certificate(callerCertificate(name))

/** What the environment of a configuration is given for `listenerTls`. */
export const listenerEnv = { CERTIFICATE: listenerCertificate(), KEY: listenerKey, CALLERS_CA: callersAuthority }

/** YAML of a listener's tls, made of {@link listenerEnv}. */
export const listenerTls = (clientCertificate?: 'optional' | 'required') =>
  `{ certificate: "\${env:CERTIFICATE}", private_key: "\${env:KEY}"${
    clientCertificate === undefined ? '' : `, client_ca: "\${env:CALLERS_CA}", client_certificate: ${clientCertificate}`
  } }`

export interface TlsCaller extends ConnectionOptions {
  readonly allowHalfOpen?: boolean
  /** The name of its certificate; none: it presents none. */
  readonly as?: string | undefined
}

/** Opens a TLS connection to a listener on 127.0.0.1, as soon as its own side of the handshake is done. */
export function connectTls(port: number, { as, ...options }: TlsCaller = {}): TLSSocket {
  const own = as === undefined ? {} : { cert: callerCertificate(as), key: callerKey }
  return connect({ port, host: '127.0.0.1', ca: callersAuthority, ...own, ...options })
}

/** Everything that came until the connection ended, or one whole answer was there. */
export function sendTls(port: number, bytes: string, caller: TlsCaller = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = ''
    const socket = connectTls(port, caller)
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`no end after 5 s, but: ${received}`))
    }, 5000)
    // Behind the handshake, whatever the listener thinks of it.
    socket.write(bytes, 'latin1')
    socket.on('data', (piece: Buffer) => {
      received += piece.toString('latin1')
      if (parseAnswer(received)?.complete) socket.destroy()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(received)
    })
  })
}

/** The answer to one request; `undefined` where the connection ended without one. */
export async function askTls(port: number, bytes: string, caller: TlsCaller = {}): Promise<RawAnswer | undefined> {
  return parseAnswer(await sendTls(port, bytes, caller))
}
