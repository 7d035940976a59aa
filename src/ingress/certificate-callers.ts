import type { X509Certificate } from 'node:crypto'
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { z } from 'zod'
import { faultRule } from '../base/fault-rule.ts'
import { listOf, parsedText } from '../base/scalars.ts'
import { parseDistinguishedName, subjectName } from './distinguished-name.ts'

const subject = () =>
  parsedText<string>(
    'a name as RFC 4514 writes it, the most specific part first, such as CN=billing,O=Example, without the "subject=" before it',
    (given) => (/^\s*subject\s*=/i.test(given) ? undefined : parseDistinguishedName(given)),
  )

const dnsName = () =>
  parsedText<string>('a DNS name such as billing.example.com, in ASCII', (given) =>
    /^(\*\.)?[a-z0-9_]([\w-]*\w)?(\.[a-z0-9_]([\w-]*\w)?)*$/i.test(given) && given.length <= 253
      ? given.toLowerCase()
      : undefined,
  )

const uri = () =>
  parsedText<string>('a URI such as spiffe://example.com/billing, without * and in ASCII', (given) =>
    /^[a-z][a-z0-9+.-]*:[!-)+-~]+$/i.test(given) ? given : undefined,
  )

/** Which client certificates open a route: any that has one of these names, of whatever kind. */
export const certificatesOptions = z
  .strictObject({
    subjects: listOf(subject())
      .optional()
      .describe('the whole subject, as `openssl x509 -noout -subject -nameopt RFC2253` prints it behind `subject=`'),
    dns_names: listOf(dnsName()).optional().describe('a DNS name among its alternative names, letter by letter'),
    uris: listOf(uri()).optional().describe('a URI among its alternative names, such as a SPIFFE ID, letter by letter'),
  })
  .check(
    faultRule(['subjects', 'dns_names', 'uris'], (given) =>
      Object.keys(given).length === 0
        ? { path: [], message: 'is empty, and would name no certificate: give it subjects, dns_names or uris' }
        : undefined,
    ),
  )

export type CertificatesOptions = z.output<typeof certificatesOptions>

/** The names of a certificate that count, each as `kind name`. */
interface CertificateNames {
  readonly names: ReadonlySet<string>
  readonly expiresAt: number
  /** For the log. */
  readonly subject: string
}

/** What each certificate is called, read once. */
const read = new WeakMap<X509Certificate, CertificateNames>()

/** The certificate of each connection, read once: Node makes it anew whenever it is asked. */
const presented = new WeakMap<Socket, X509Certificate>()

/**
 * The certificate of the other end, if it was verified in the handshake. Only the socket is asked: a header such as
 * `X-Client-Cert` could come from anybody.
 */
export function verifiedCertificate(socket: Socket): X509Certificate | undefined {
  const { authorized, getPeerX509Certificate } = socket as Partial<TLSSocket>
  // Neither alone would do: an unverified certificate may be there too, and `authorized` may stand without one.
  if (authorized !== true) return undefined
  const certificate = presented.get(socket) ?? getPeerX509Certificate?.call(socket as TLSSocket)
  if (certificate) presented.set(socket, certificate)
  return certificate
}

/** Finds out by which of its names a certificate is listed. */
export type CertificateMatcher = (
  certificate: X509Certificate | undefined,
  now: number,
) => { readonly name: string } | { readonly fault: string }

export function createCertificateMatcher({ subjects, dns_names, uris }: CertificatesOptions): CertificateMatcher {
  const listed = [
    ...(subjects ?? []).map((name) => `subject ${name}`),
    ...(dns_names ?? []).map((name) => `dns ${name}`),
    ...(uris ?? []).map((name) => `uri ${name}`),
  ]
  return (certificate, now) => {
    if (!certificate) return { fault: 'the caller has presented no client certificate' }
    const { names, expiresAt, subject: called } = namesOf(certificate)
    // The handshake has looked, but a connection may outlive a short-lived certificate by days.
    if (!(now < expiresAt)) return { fault: `the client certificate (${called}) has expired` }
    const name = listed.find((each) => names.has(each))
    return name === undefined ? { fault: `the client certificate (${called}) is none of those listed` } : { name }
  }
}

function namesOf(certificate: X509Certificate): CertificateNames {
  const known = read.get(certificate)
  if (known) return known
  const called = subjectName(certificate.subject)
  const names = new Set(alternativeNames(certificate.subjectAltName ?? ''))
  if (called !== undefined) names.add(`subject ${called}`)
  const expiresAt = Date.parse(certificate.validTo)
  const fresh = { names, expiresAt, subject: called ?? 'without a usable subject' }
  read.set(certificate, fresh)
  return fresh
}

const alternativeName = /(DNS|URI|[A-Za-z][A-Za-z0-9 ]*):("(?:[^"\\]|\\.)*"|[^",]*)(?:, (?=.)|$)/y

/**
 * The DNS names and URIs in what Node makes of a certificate's alternative names: `DNS:a, URI:"b, c"`, where what could
 * be taken for a separator stands in quotes, as JSON. Cut at each comma instead, a name such as `x, DNS:admin` of an
 * authority that checks less would be two (CVE-2021-44532). Text that does not read this way to its end has no names.
 */
function alternativeNames(text: string): string[] {
  const found: string[] = []
  for (let at = 0; at < text.length; at = alternativeName.lastIndex) {
    alternativeName.lastIndex = at
    const [, kind, value = ''] = alternativeName.exec(text) ?? []
    if (kind === undefined) return []
    const name = value.startsWith('"') ? unquote(value) : value
    if (name === undefined) return []
    if (kind === 'DNS') found.push(`dns ${name.toLowerCase()}`)
    if (kind === 'URI') found.push(`uri ${name}`)
  }
  return found
}

function unquote(text: string): string | undefined {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
