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
  return { canonical: `${type.toUpperCase()}=${[...value].map(writeByte).join('')}`, end }
}

/** Every byte in one way alone. */
function writeByte(byte: number): string {
  const char = String.fromCharCode(byte)
  return /[ !$-*\--:?-[\]-~]/.test(char) ? char : `\\${byte.toString(16).padStart(2, '0').toUpperCase()}`
}
