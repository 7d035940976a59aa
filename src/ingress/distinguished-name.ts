/**
 * Other names of attribute types, and their numbers, for those that OpenSSL, and with it Node, writes by name: a subject
 * that says `E=` or `2.5.4.3=` would be nobody's.
 * @see https://www.rfc-editor.org/rfc/rfc4519#section-2
 */
const spellings: Record<string, readonly string[]> = {
  CN: ['2.5.4.3', 'COMMONNAME'],
  SN: ['2.5.4.4', 'SURNAME'],
  SERIALNUMBER: ['2.5.4.5'],
  C: ['2.5.4.6', 'COUNTRYNAME'],
  L: ['2.5.4.7', 'LOCALITYNAME'],
  ST: ['2.5.4.8', 'S', 'STATEORPROVINCENAME'],
  STREET: ['2.5.4.9', 'STREETADDRESS'],
  O: ['2.5.4.10', 'ORGANIZATIONNAME'],
  OU: ['2.5.4.11', 'ORGANIZATIONALUNITNAME'],
  TITLE: ['2.5.4.12', 'T'],
  DESCRIPTION: ['2.5.4.13'],
  BUSINESSCATEGORY: ['2.5.4.15'],
  POSTALCODE: ['2.5.4.17'],
  NAME: ['2.5.4.41'],
  GN: ['2.5.4.42', 'G', 'GIVENNAME'],
  INITIALS: ['2.5.4.43'],
  GENERATIONQUALIFIER: ['2.5.4.44'],
  X500UNIQUEIDENTIFIER: ['2.5.4.45'],
  DNQUALIFIER: ['2.5.4.46', 'DNQ'],
  PSEUDONYM: ['2.5.4.65'],
  ORGANIZATIONIDENTIFIER: ['2.5.4.97'],
  UID: ['0.9.2342.19200300.100.1.1', 'USERID'],
  DC: ['0.9.2342.19200300.100.1.25', 'DOMAINCOMPONENT'],
  EMAILADDRESS: ['1.2.840.113549.1.9.1', 'E', 'EMAIL'],
}
const canonicalTypes = new Map(
  Object.entries(spellings).flatMap(([type, others]) => others.map((other) => [other, type] as const)),
)

/**
 * Names as certificates have them, in the form of RFC 4514 (`CN=billing,O=Example`, the most specific part first), and in
 * one canonical spelling, so that two are the same name if and only if they are the same text. Attribute types are
 * compared in any letter case, values byte by byte.
 * @see https://www.rfc-editor.org/rfc/rfc4514#section-3
 */
const attribute = / *([A-Za-z][A-Za-z0-9-]*|\d+(?:\.\d+)+) *= */y
const piece = /\\([0-9a-f]{2})|\\([ "#+,;<=>\\])|([^\\"+,;<>])/iuy

/** The canonical form of a name as somebody writes it; `undefined` for what is none. */
export function parseDistinguishedName(text: string): string | undefined {
  const parts: string[][] = [[]]
  let at = 0
  for (;;) {
    const read = readAttribute(text, at)
    if (!read) return undefined
    parts.at(-1)?.push(read.canonical)
    at = read.end
    const separator = text[at]
    if (separator === undefined) return parts.map((part) => part.sort().join('+')).join(',')
    if (separator === ',') parts.push([])
    else if (separator !== '+') return undefined
    at++
  }
}

/**
 * The canonical form of `subject` as `X509Certificate` gives it: a part on each line, the most general one first. Node
 * escapes what is special in a value, line ends among it; were it ever not to, what comes out is another name or none.
 */
export function subjectName(subject: string | undefined): string | undefined {
  return subject && parseDistinguishedName(subject.split('\n').reverse().join(','))
}

function readAttribute(text: string, start: number): { readonly canonical: string; readonly end: number } | undefined {
  attribute.lastIndex = start
  const type = attribute.exec(text)?.[1]
  if (type === undefined) return undefined
  const bytes: Buffer[] = []
  let kept = 0
  let end = attribute.lastIndex
  piece.lastIndex = end
  for (let match = piece.exec(text); match; match = piece.exec(text)) {
    const [, hex, escaped, plain] = match
    bytes.push(hex === undefined ? Buffer.from(escaped ?? plain ?? '') : Buffer.from(hex, 'hex'))
    // Blanks behind a value are no part of it, unless they are escaped.
    if (plain !== ' ') kept = bytes.length
    end = piece.lastIndex
  }
  const value = Buffer.concat(bytes.slice(0, kept))
  // A value that begins with # is DER in hexadecimal, which nobody writes by hand.
  if (value.length === 0 || text[attribute.lastIndex] === '#') return undefined
  const upper = type.toUpperCase()
  return { canonical: `${canonicalTypes.get(upper) ?? upper}=${writeValue(value)}`, end }
}

/** Blanks at the ends are escaped: bare ones are no part of a value. */
function writeValue(value: Buffer): string {
  return [...value].map(writeByte).join('').replace(/^ | $/g, '\\20')
}

/** Every byte in one way alone. */
function writeByte(byte: number): string {
  const char = String.fromCharCode(byte)
  return /[ !$-*\--:?-[\]-~]/.test(char) ? char : `\\${byte.toString(16).padStart(2, '0').toUpperCase()}`
}
