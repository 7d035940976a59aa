import { TlsClientAuth } from 'oauth4webapi'
import { defineClientAuthMethod } from './define.ts'
import { tlsOptions, withCertificate } from './tls.ts'

/**
 * A certificate of an authority that the server trusts; its subject is the client.
 * @see https://www.rfc-editor.org/rfc/rfc8705#section-2.1
 */
export const tlsClientAuth = defineClientAuthMethod({
  name: 'tls_client_auth',
  summary: 'a TLS certificate of an authority that the server trusts; its subject is the client',
  options: { tls: tlsOptions },
  create: ({ tls }) => withCertificate({ identify: () => '', authenticate: TlsClientAuth() }, tls),
})
