import { createHash, type KeyObject, X509Certificate } from 'node:crypto'
import { createSecureContext } from 'node:tls'
import { type Derived, deriveFrom } from './derived.ts'
import { KeyFault, readPrivateKey, unfoldPem } from './private-key.ts'
import { certificateFile, secret } from './scalars.ts'
import type { Secret } from './secret.ts'

/** The keys under which a configuration names a certificate that the gateway presents, and its private key. */
export const clientCertificateOptions = {
  certificate: certificateFile().describe('PEM, the own certificate first and then what leads to a root'),
  private_key: secret().describe('PEM (PKCS#8, PKCS#1, SEC1) or JWK'),
  private_key_passphrase: secret().optional().describe('if the key is encrypted'),
}

export interface ClientCertificateOptions {
  readonly certificate: Secret
  readonly private_key: Secret
  readonly private_key_passphrase?: Secret | undefined
}

/** A certificate with its key, as TLS presents them. */
export interface PresentedCertificate extends CertificateFacts {
  /** PEM, with its chain. */
  readonly certificate: string
  /** PEM, PKCS#8. */
  readonly privateKey: string
}

/** Files are read again when they change; a pair that does not fit is not used. */
export type ClientCertificate = Derived<PresentedCertificate>

/** @throws {KeyFault} if it cannot be used as it is now */
export function createClientCertificate(options: ClientCertificateOptions): ClientCertificate {
  const { certificate, private_key: privateKey, private_key_passphrase: passphrase } = options
  return deriveFrom({ certificate, privateKey, passphrase }, (texts) => {
    const key = readPrivateKey(texts.privateKey, passphrase && texts.passphrase)
    const pem = unfoldPem(texts.certificate)
    const certificate = readCertificate(pem, key)
    const privateKey = String(key.export({ type: 'pkcs8', format: 'pem' }))
    requireTlsTakes(pem, privateKey)
    return { ...certificate, certificate: pem, privateKey }
  })
}

/** Better now than with each connection: TLS asks more of a certificate and its chain than that they can be read. */
function requireTlsTakes(cert: string, key: string): void {
  try {
    createSecureContext({ cert, key })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new KeyFault(
      'certificate',
      `is not taken by TLS, with this private key and this chain (${code ?? 'no code'})`,
    )
  }
}

/** What a certificate says, and until when. */
export interface CertificateFacts {
  /** SHA-256, as `x5t#S256` has it. @see https://www.rfc-editor.org/rfc/rfc8705#section-3.1 */
  readonly thumbprint: string
  /** Milliseconds since the epoch. */
  readonly expiresAt: number
}

/** Reads the first certificate of a PEM. @throws {KeyFault} if it is none, or not that of the key */
export function readCertificate(pem: string, privateKey: KeyObject): CertificateFacts {
  const certificate = parse(pem)
  if (!certificate.checkPrivateKey(privateKey))
    throw new KeyFault('certificate', 'does not fit the private key: it was issued for another one')
  return {
    thumbprint: createHash('sha256').update(certificate.raw).digest('base64url'),
    expiresAt: certificate.validToDate.getTime(),
  }
}

function parse(pem: string): X509Certificate {
  try {
    return new X509Certificate(pem)
  } catch {
    throw new KeyFault('certificate', 'is no readable certificate in PEM')
  }
}
