import type { X509Certificate } from 'node:crypto'
import type { RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { TLSSocket } from 'node:tls'
import type { Configuration, KoaContextWithOIDC } from 'oidc-provider'
import { testAuthority, testCertificate } from './certificates.ts'

/** An https server; it asks for a client's certificate if it should, and takes any, or none. */
export function createTlsServer(listener: RequestListener, asksForCertificates: boolean): Server {
  const { certificate, privateKey } = testCertificate('server')
  const asking = asksForCertificates ? { ca: testAuthority, requestCert: true, rejectUnauthorized: false } : {}
  return createServer({ cert: certificate, key: privateKey, ...asking }, listener)
}

/** What oidc-provider has to be told to see certificates on the connection itself. */
export const mutualTlsFeature: NonNullable<NonNullable<Configuration['features']>['mTLS']> = {
  enabled: true,
  certificateBoundAccessTokens: true,
  tlsClientAuth: true,
  selfSignedTlsClientAuth: true,
  getCertificate: (context) => peerCertificate(context),
  certificateAuthorized: (context) => (context.req.socket as TLSSocket).authorized,
  certificateSubjectMatches(context, property, expected) {
    const certificate = peerCertificate(context)
    if (!certificate) return false
    if (property === 'tls_client_auth_subject_dn') return certificate.subject.split('\n').join(',') === expected
    const kinds: Record<string, string> = { tls_client_auth_san_dns: 'DNS', tls_client_auth_san_uri: 'URI' }
    const names = (certificate.subjectAltName ?? '').split(', ')
    return names.includes(`${kinds[property]}:${expected}`)
  },
}

function peerCertificate(context: KoaContextWithOIDC): X509Certificate | undefined {
  return (context.req.socket as TLSSocket).getPeerX509Certificate()
}
