import type { ClientCertificate } from '../base/client-certificate.ts'
import { createHttpClient, type HttpClient, type HttpClientOptions } from './http-client.ts'

/** HTTP clients that each present a certificate. */
export interface CertificateClients {
  /** The one for a certificate as it is now. */
  get(certificate: ClientCertificate): HttpClient
  close(): Promise<void>
}

/**
 * Keeps one HTTP client for each certificate, with connections that no other one shares. A certificate that has changed gets
 * a new one: on an old connection the server would go on to see the old certificate, and bind tokens to it.
 */
export function createCertificateClients(options: HttpClientOptions): CertificateClients {
  const clients = new Map<ClientCertificate, { readonly thumbprint: string; readonly http: HttpClient }>()
  return {
    get(certificate) {
      const presented = certificate.read()
      const known = clients.get(certificate)
      if (known?.thumbprint === presented.thumbprint) return known.http
      known?.http.retire()
      const http = createHttpClient({ ...options, certificate: presented })
      clients.set(certificate, { thumbprint: presented.thumbprint, http })
      return http
    },
    async close() {
      await Promise.all([...clients.values()].map(({ http }) => http.close()))
    },
  }
}
