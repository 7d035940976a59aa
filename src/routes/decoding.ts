import { isUtf8 } from 'node:buffer'

/**
 * A decoded segment is text in which a byte that is not UTF-8 stands as the lone surrogate U+DC80 to U+DCFF, so that
 * nothing of it is lost and it can be read another way. @see https://www.rfc-editor.org/rfc/rfc3986#section-2.1
 */
const loneBytes = /[\udc80-\udcff]+/gu

/** The text of one byte: itself in ASCII, a lone surrogate above. */
function byteText(byte: number): string {
  return String.fromCharCode(byte < 0x80 ? byte : 0xdc00 + byte)
}

/**
 * Decodes one raw segment once. Raw bytes above ASCII, which Node hands over as latin1, count as if they had been
 * percent-encoded. `undefined` where the percent-encoding is malformed; `%uXXXX` is no encoding, and left as it is.
 */
export function decodeSegment(raw: string): string | undefined {
  if (/%(?![0-9a-f]{2}|u[0-9a-f]{4})/.test(raw.toLowerCase()) || raw.includes('%U')) return undefined
  const bytes = raw
    .replace(/[\u0080-\u00ff]/g, (character) => byteText(character.charCodeAt(0)))
    .replace(/%([0-9a-f]{2})/gi, (_, hex: string) => byteText(Number.parseInt(hex, 16)))
  return joinUtf8(bytes)
}

const escapes = { percent: /%([0-9a-f]{2})/gi, unit: /%u([0-9a-f]{4})/gi, both: /%u([0-9a-f]{4})|%([0-9a-f]{2})/gi }

/**
 * Decodes what was decoded before, as a server behind a server does: `%41`, the old `%u0041`, or both at once.
 * Malformed parts are left.
 */
export function decodeAgain(segment: string, which: keyof typeof escapes): string {
  const bytes = segment.replace(escapes[which], (found: string) =>
    /^%u/i.test(found)
      ? String.fromCharCode(Number.parseInt(found.slice(2), 16))
      : byteText(Number.parseInt(found.slice(1), 16)),
  )
  return joinUtf8(bytes)
}

/** Puts bytes that together are UTF-8 into the characters that they mean. */
function joinUtf8(text: string): string {
  return text.replace(loneBytes, (run) => {
    const bytes = Buffer.from(run, 'utf16le').filter((_, index) => index % 2 === 0)
    if (isUtf8(bytes)) return Buffer.from(bytes).toString('utf8')
    let joined = ''
    for (let start = 0; start < bytes.length; ) {
      const length = sequenceLength(bytes[start] ?? 0)
      const sequence = bytes.subarray(start, start + length)
      const valid = sequence.length === length && isUtf8(sequence)
      joined += valid ? Buffer.from(sequence).toString('utf8') : byteText(bytes[start] ?? 0)
      start += valid ? length : 1
    }
    return joined
  })
}

/** How long the sequence is that a byte begins. @see https://www.rfc-editor.org/rfc/rfc3629#section-3 */
function sequenceLength(first: number): number {
  if (first < 0xc2 || first > 0xf4) return 1
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
}

const overlong =
  /[\udcc0\udcc1][\udc80-\udcbf]|\udce0[\udc80-\udc9f][\udc80-\udcbf]|\udcf0[\udc80-\udc8f][\udc80-\udcbf]{2}|\udcf8[\udc80-\udc87][\udc80-\udcbf]{3}|\udcfc[\udc80-\udc83][\udc80-\udcbf]{4}/gu
const unchecked = /[\udcc0\udcc1][ -~]/gu

/**
 * As decoders read that never asked whether a shorter form exists: `%c0%ae` is a dot, and so is `%c0n` to those that
 * take the low six bits of whatever comes next.
 */
export function decodeOverlong(segment: string): string {
  return segment
    .replace(overlong, (sequence) => {
      const lead = sequence.charCodeAt(0) & (0x7f >> sequence.length)
      const value = codeUnits(sequence.slice(1)).reduce((sum, unit) => (sum << 6) | (unit & 0x3f), lead)
      return value <= 0x10ffff ? String.fromCodePoint(value) : sequence
    })
    .replace(unchecked, (sequence) => {
      const value = ((sequence.charCodeAt(0) & 1) << 6) | (sequence.charCodeAt(1) & 0x3f)
      return value >= 0x20 && value < 0x7f ? String.fromCharCode(value) : sequence
    })
}

function codeUnits(text: string): number[] {
  return Array.from(text, (character) => character.charCodeAt(0))
}

/** As a server reads that takes each byte for one character (ISO 8859-1); bytes without one become U+FFFD. */
export function readLatin1(segment: string): string {
  return segment.replace(/[^ -~]/gu, (character) => {
    const unit = character.charCodeAt(0)
    const bytes = character.length === 1 && unit >= 0xdc80 && unit <= 0xdcff ? [unit - 0xdc00] : Buffer.from(character)
    return Array.from(bytes, (byte) => (byte < 0xa0 ? '\ufffd' : String.fromCharCode(byte))).join('')
  })
}

/** As decoders read that drop bytes that are not UTF-8, or put `replacement` in their place. */
export function replaceBytes(segment: string, replacement: '' | '\ufffd'): string {
  return segment.replace(loneBytes, (run) => replacement.repeat(run.length))
}

/** Characters that NFKC leaves alone, and that legacy code pages fold into a separator all the same. */
const separators: Record<string, string> = { '\u2044': '/', '\u2215': '/', '\u2216': '\\' }

/** As servers read that go by way of a legacy code page. */
export function foldSeparators(segment: string): string {
  return segment.replace(/[\u2044\u2215\u2216]/g, (character) => separators[character] ?? character)
}
