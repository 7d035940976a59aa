import { z } from 'zod'
import {
  type ClientCertificateOptions,
  clientCertificateOptions,
  createClientCertificate,
} from '../../base/client-certificate.ts'
import type { ClientCredential } from './define.ts'

/** The certificate that a client presents in TLS, apart from any key that it signs with. */
export const tlsOptions = z
  .strictObject(clientCertificateOptions)
  .describe('the certificate that the client presents at the token endpoint')

/** The same credential, presented over the certificate's connections alone: a token may be bound to it. */
export function withCertificate(credential: ClientCredential, options: ClientCertificateOptions): ClientCredential {
  const tls = createClientCertificate(options)
  return {
    ...credential,
    tls,
    expiries: () => [...(credential.expiries?.() ?? []), { path: ['tls', 'certificate'], at: tls.recent().expiresAt }],
    fault: () => credential.fault?.() ?? tls.fault(),
    identify: () => JSON.stringify([credential.identify(), tls.recent().thumbprint]),
  }
}
