import { TlsClientAuth } from 'oauth4webapi'
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
  create: ({ tls }) => withCertificate({ identify: () => '', authenticate: TlsClientAuth() }, tls),
})
