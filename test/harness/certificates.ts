import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { registerSecret } from './secrets.ts'

type Owner =
  | 'server'
  | 'client'
  | 'client-renewed'
  | 'stranger'
  | 'self-signed'
  | 'self-signed-other'
  | 'self-signed-rsa'

/** A certificate of `certificates/` with its key. */
export interface TestCertificate {
  /** PEM. */
  readonly certificate: string
  /** PEM, SEC1 or PKCS#8, registered as a secret. */
  readonly privateKey: string
  readonly x509: X509Certificate
  /** As in `x5t#S256` and `cnf`. */
  readonly thumbprint: string
}

const read = (name: string) => readFileSync(fileURLToPath(new URL(`certificates/${name}`, import.meta.url)), 'utf8')

/** The authority that signed all but the self-signed ones. */
export const testAuthority = read('ca.pem')

/** One of the certificates that `certificates/make.sh` made. */
export function testCertificate(owner: Owner): TestCertificate {
  const certificate = read(`${owner}.pem`)
  const x509 = new X509Certificate(certificate)
  return {
    certificate,
    privateKey: registerSecret(read(`${owner}.key`)),
    x509,
    thumbprint: Buffer.from(x509.fingerprint256.replaceAll(':', ''), 'hex').toString('base64url'),
  }
}
