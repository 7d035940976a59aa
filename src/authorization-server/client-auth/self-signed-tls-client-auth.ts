import { X509Certificate } from 'node:crypto'
import { TlsClientAuth } from 'oauth4webapi'
import { createClientCertificate } from '../../base/client-certificate.ts'
import { defineClientAuthMethod } from './define.ts'
import { tlsOptions, withCertificate } from './tls.ts'

/**
 * A certificate that nobody vouches for; the server knows this very one.
 * @see https://www.rfc-editor.org/rfc/rfc8705#section-2.2
 */
export const selfSignedTlsClientAuth = defineClientAuthMethod({
  name: 'self_signed_tls_client_auth',
  summary: 'a self-signed TLS certificate; the server knows this very one',
  options: { tls: tlsOptions },
  describe({ tls }) {
    const { raw, publicKey } = new X509Certificate(createClientCertificate(tls).read().certificate)
    return { jwks: { keys: [{ ...publicKey.export({ format: 'jwk' }), x5c: [raw.toString('base64')] }] } }
  },
  create: ({ tls }) => withCertificate({ identify: () => '', authenticate: TlsClientAuth() }, tls),
})
