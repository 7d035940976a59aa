import type { ClientCertificate, PresentedCertificate } from '../base/client-certificate.ts'
import { createHttpClient, type HttpClient } from './http-client.ts'
import type { ConnectionOptions } from './http-connection.ts'

/** HTTP clients that each present a certificate. */
export interface CertificateClients {
  /** The one for a certificate as it is now. */
  get(certificate: ClientCertificate): HttpClient
  close(): Promise<void>
}

/**
 * Keeps one HTTP client for each certificate, with connections that no other one shares. A certificate that has changed gets
 * a new one, which the server sees from then on; what is under way on the old one is left to finish.
 */
export function createCertificateClients(options: ConnectionOptions): CertificateClients {
  const clients = new Map<ClientCertificate, { readonly presented: PresentedCertificate; readonly http: HttpClient }>()
  return {
    get(certificate) {
      const presented = certificate.read()
      const known = clients.get(certificate)
      // Not by its thumbprint: what leads from it to a root may have been mended.
      if (known?.presented === presented) return known.http
      const http = createHttpClient({ ...options, certificate: presented })
      clients.set(certificate, { presented, http })
      return http
    },
    async close() {
      await Promise.all([...clients.values()].map(({ http }) => http.close()))
    },
  }
}
