import { GatewayError } from '../base/errors.ts'
import { decodeAgain, decodeOverlong, foldSeparators, readLatin1, replaceBytes } from './decoding.ts'
import { type Doubt, type DoubtSet, doubtNames, doubtSet } from './doubts.ts'

/** One way of reading a path: its decoded segments, and the doubts that lead to it. */
export interface Reading {
  readonly segments: readonly string[]
  readonly doubts: DoubtSet
}

/** What some servers do with a path. `sign` tells cheaply, on the segments joined by line feeds, where it can matter. */
interface Leniency {
  readonly doubt: Doubt
  readonly sign: RegExp
  read(segments: readonly string[]): string[]
}

const each = (read: (segment: string) => string) => (segments: readonly string[]) => segments.map(read)

const leniencies: readonly Leniency[] = [
  { doubt: 'encoded_slash', sign: /\//, read: (segments) => segments.flatMap((segment) => segment.split('/')) },
  { doubt: 'encoded_slash', sign: /\\/, read: (segments) => segments.flatMap((segment) => segment.split('\\')) },
  {
    doubt: 'empty_segment',
    sign: /^\n|\n\n/,
    read: (segments) => segments.filter((s, i) => s !== '' || i === segments.length - 1),
  },
  // `//host/admin` as a URL: what follows the slashes is a host, also once a prefix before them has been dropped.
  { doubt: 'empty_segment', sign: /^\n|\n\n/, read: cutAuthority },
  { doubt: 'params', sign: /;/, read: each((segment) => cutAt(segment, /;/)) },
  // As servers do that cut before they decode: `;x` is nothing, and a `%3B` further on stays.
  { doubt: 'params', sign: /(?:^|\n);/, read: each((segment) => (segment.startsWith(';') ? '' : segment)) },
  { doubt: 'double_encoding', sign: /%/, read: each((segment) => decodeAgain(segment, 'both')) },
  { doubt: 'double_encoding', sign: /%u/i, read: each((segment) => decodeAgain(segment, 'percent')) },
  { doubt: 'double_encoding', sign: /%u/i, read: each((segment) => decodeAgain(segment, 'unit')) },
  { doubt: 'trailing_slash', sign: /\n$/, read: cutEmptyEnd },
  { doubt: 'trailing_dot', sign: /[. ](?:\n|$)/, read: each(cutTail) },
  // As servers do that trim a segment on both sides.
  { doubt: 'trailing_dot', sign: /(?:^|\n) /, read: each((segment) => segment.replace(/^ +/, '')) },
  { doubt: 'encoded_delimiter', sign: /[?#]/, read: endAtDelimiter },
  { doubt: 'not_utf8', sign: /[\udc80-\udcff]/u, read: each(decodeOverlong) },
  { doubt: 'not_utf8', sign: /[\udc80-\udcff]/u, read: each(readLatin1) },
  { doubt: 'not_utf8', sign: /[\udc80-\udcff]/u, read: each((segment) => replaceBytes(segment, '')) },
  { doubt: 'not_utf8', sign: /[\udc80-\udcff]/u, read: each((segment) => replaceBytes(segment, '\ufffd')) },
  // `／` is a slash, `．` a dot, `ﬁ` two letters.
  { doubt: 'compatibility_form', sign: /[\u0080-\uffff]/, read: each((segment) => segment.normalize('NFKC')) },
  { doubt: 'compatibility_form', sign: /[\u2044\u2215\u2216]/, read: each(foldSeparators) },
]

function cutAt(segment: string, mark: RegExp): string {
  const at = segment.search(mark)
  return at < 0 ? segment : segment.slice(0, at)
}

function cutTail(segment: string): string {
  let end = segment.length
  while (end > 0 && '. '.includes(segment.charAt(end - 1))) end--
  return segment.slice(0, end)
}

function cutAuthority(segments: readonly string[]): string[] {
  const slashes = segments.indexOf('')
  const host = segments.findIndex((segment, at) => at > slashes && segment !== '')
  const rest = host < 0 ? [] : segments.slice(host + 1)
  return slashes === 0 && rest.length === 0 ? [''] : [...segments.slice(0, slashes), ...rest]
}

function cutEmptyEnd(segments: readonly string[]): string[] {
  return segments.slice(0, Math.max(1, segments.findLastIndex((segment) => segment !== '') + 1))
}

function endAtDelimiter(segments: readonly string[]): string[] {
  const last = segments.findIndex((segment) => /[?#]/.test(segment))
  return segments.slice(0, last + 1).map((segment) => cutAt(segment, /[?#]/))
}

/** A path that is short has 64 readings at most, a long one fewer: a caller must not keep the process busy with one. */
const mostReadings = 64
const mostCharacters = 64 * 1024
const mostDecodings = 2

/**
 * Every other reading of a path: the lenient transformations applied to it, to what they make of it, and so on, until
 * nothing new appears. Those that belong to a doubt in `without` are left out.
 * @throws {GatewayError} invalid_target if any reading has a part that is never accepted, ambiguous_target if there
 * are more than can be followed
 */
export function lenientReadings(strict: readonly string[], without: DoubtSet = 0): Reading[] {
  refuseForbidden({ segments: strict, doubts: 0 })
  const readings = [{ segments: strict, doubts: 0, decodings: 0 }]
  let characters = 0
  const known = new Set([strict.join('\n')])
  for (const reading of readings) {
    const text = reading.segments.join('\n')
    for (const { doubt, sign, read } of leniencies) {
      const bit = doubtSet(doubt)
      if ((bit & without) !== 0 || !sign.test(text)) continue
      const decodings = reading.decodings + (doubt === 'double_encoding' ? 1 : 0)
      const next = { segments: read(reading.segments), doubts: reading.doubts | bit, decodings }
      refuseForbidden(next)
      const key = next.segments.join('\n')
      if (known.has(key)) continue
      if (decodings > mostDecodings)
        throw new GatewayError('ambiguous_target', { reason: 'encoded more than three times' })
      characters += key.length
      if (readings.length > mostReadings || characters > mostCharacters)
        throw new GatewayError('ambiguous_target', { reason: 'too many readings' })
      known.add(key)
      readings.push(next)
    }
  }
  return readings.slice(1)
}

function refuseForbidden(reading: Reading): void {
  if (!reading.segments.some(isForbidden)) return
  const how = reading.doubts === 0 ? '' : `, read with ${doubtNames(reading.doubts).join(' and ')}`
  throw new GatewayError('invalid_target', { reason: `a dot segment or a control character${how}` })
}

/**
 * Dot segments climb out of the guarded path, a NUL ends it early, and line feeds forge headers and log lines. `...`
 * and `.. ` are dot segments to servers that cut dots and spaces off.
 */
export function isForbidden(segment: string): boolean {
  let dots = false
  let others = false
  for (let index = 0; index < segment.length; index++) {
    const code = segment.charCodeAt(index)
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return true
    if (code === 0x2e) dots = true
    else if (code !== 0x20) others = true
  }
  return dots && !others
}
