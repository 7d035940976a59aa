import type { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider'

/** Where a file of `certificates/` is. */
export function certificateFile(name: string): string {
  return fileURLToPath(new URL(`certificates/${name}`, import.meta.url))
}

/** An https server that asks for a client's certificate, and takes any, or none: the rest is up to the token endpoint. */
export function createMutualTlsServer(): Server {
  const [cert, key, ca] = ['server.pem', 'server.key', 'ca.pem'].map((name) => readFileSync(certificateFile(name)))
  return createServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false })
}

/** The certificate that the client presented. */
export function peerCertificate({ req }: KoaContextWithOIDC): X509Certificate | undefined {
  return (req.socket as TLSSocket).getPeerX509Certificate()
}

/** How oidc-provider gets to see certificates. @see https://www.rfc-editor.org/rfc/rfc8705 */
export const mutualTls: NonNullable<Configuration['features']> = {
  mTLS: {
    enabled: true,
    tlsClientAuth: true,
    selfSignedTlsClientAuth: true,
    getCertificate: peerCertificate,
    certificateAuthorized: ({ req }) => (req.socket as TLSSocket).authorized,
    certificateSubjectMatches: (context, property, expected) =>
      property === 'tls_client_auth_subject_dn' && peerCertificate(context)?.subject === expected,
  },
}
