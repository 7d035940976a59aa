import { GatewayError } from '../base/errors.ts'
import { decodeSegment } from './decoding.ts'
import { type DoubtSet, doubtSet } from './doubts.ts'
import { lenientReadings, type Reading } from './readings.ts'

/** The request target in origin-form, read once. @see https://www.rfc-editor.org/rfc/rfc9112#section-3.2.1 */
export interface RequestTarget {
  /** As it came; this is what is forwarded. */
  readonly raw: string
  /** The path's segments, decoded once: `/a/b%2Fc/` is `a`, `b/c` and an empty one. */
  readonly segments: readonly string[]
  /** What makes servers disagree about this path; 0 for nearly every request. */
  readonly doubts: DoubtSet
  /** The other ways to read it, letter case apart; empty for nearly every request. */
  readonly readings: readonly Reading[]
}

/** Kinds of characters; the numbers matter only in that the scan can tell them apart. */
const plain = 0
const slash = 1
const dot = 2
const upper = 3
const suspect = 4
const queryStart = 5
const forbidden = 6

const kinds = new Uint8Array(256)
kinds.fill(forbidden, 0, 0x21)
kinds.fill(upper, 0x41, 0x5b)
kinds.fill(suspect, 0x80)
for (const [characters, kind] of [
  ['/', slash],
  ['.', dot],
  ['%;', suspect],
  ['?', queryStart],
  ['\\#\x7f', forbidden],
] as const) {
  for (const character of characters) kinds[character.charCodeAt(0)] = kind
}

const caseDoubt = doubtSet('case')

/**
 * Reads the target of a request, as Node gives it (`request.url`: one character for each byte).
 * @throws {GatewayError} target_too_long; invalid_target where it is not in origin-form, malformed, or has a part that
 * is never accepted in any reading; ambiguous_target where it has more readings than can be followed
 */
export function readRequestTarget(raw: string, limits: { readonly targetLength: number }): RequestTarget {
  requireShortTarget(raw, limits.targetLength)
  // A path without its slash, or a whole URL, is matched as one thing here and read as another behind.
  if (raw.charCodeAt(0) !== 0x2f) throw invalid('not in origin-form')
  const { end, suspicious, hasUpperCase } = scan(raw)
  const path = end === raw.length ? raw : raw.slice(0, end)
  requireSoundQuery(raw.slice(end))
  const rawSegments = path.slice(1).split('/')
  if (!suspicious) return { raw, segments: rawSegments, doubts: hasUpperCase ? caseDoubt : 0, readings: [] }
  const segments = rawSegments.map(decoded)
  const readings = lenientReadings(segments)
  const found = readings.reduce((set, reading) => set | reading.doubts, 0)
  return { raw, segments, doubts: found | (hasCase(segments) ? caseDoubt : 0), readings }
}

/** @throws {GatewayError} `target_too_long` */
export function requireShortTarget(raw: string, most: number): void {
  if (raw.length > most)
    throw new GatewayError('target_too_long', { reason: `${raw.length} bytes, where ${most} are accepted` })
}

/** One look at each character of the path. Suspicious is whatever needs decoding, or a second reading. */
function scan(raw: string): { end: number; suspicious: boolean; hasUpperCase: boolean } {
  let suspicious = false
  let hasUpperCase = false
  let previous = plain
  let end = 0
  for (; end < raw.length; end++) {
    const kind = kinds[raw.charCodeAt(end)] ?? forbidden
    if (kind === queryStart) break
    if (kind === forbidden) throw invalid('a backslash, a fragment, a space or a control character')
    if (kind === upper) hasUpperCase = true
    else if (kind === suspect || (kind === slash && (previous === slash || previous === dot))) suspicious = true
    previous = kind
  }
  return { end, suspicious: suspicious || previous === dot || (previous === slash && end > 1), hasUpperCase }
}

/** Never matched; only what could end the request line early, or would be cut off as a fragment, is refused. */
function requireSoundQuery(query: string): void {
  if (/[^!-\u00ff]|[#\u007f]/.test(query)) throw invalid('a fragment, a space or a control character in the query')
}

function decoded(rawSegment: string): string {
  const segment = decodeSegment(rawSegment)
  if (segment === undefined) throw invalid('malformed percent-encoding')
  return segment
}

function hasCase(segments: readonly string[]): boolean {
  return segments.some((segment) => /[A-Z\u0080-\uffff]/.test(segment))
}

function invalid(reason: string): GatewayError {
  return new GatewayError('invalid_target', { reason })
}
