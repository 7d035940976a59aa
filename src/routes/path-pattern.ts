import { decodeSegment } from './decoding.ts'
import { isForbidden } from './readings.ts'

/** What stands for exactly one segment that is not empty. */
export const anySegment: unique symbol = Symbol('*')

/** A parsed route path. `/a/*\/**` has the segments `a` and any, and a rest. */
export interface PathPattern {
  /** Decoded literals and {@link anySegment}; a last empty literal is a final slash. */
  readonly segments: readonly (string | typeof anySegment)[]
  /** True with a final `**`: this path, and everything below it. */
  readonly rest: boolean
}

type Parsed = { readonly pattern: PathPattern } | { readonly fault: string }

/** Parses a route's path, or says in one sentence what is wrong with it and what would be right. */
export function parsePathPattern(text: string): Parsed {
  if (!text.startsWith('/')) return fault(text, 'must start with /; a host stands in its own key, host')
  if (/[?#]/.test(text))
    return fault(text, 'has a query or fragment, which is never matched: leave it out, or write %3F or %23')
  const parts = text.slice(1).split('/')
  const rest = parts.at(-1) === '**'
  const segments: (string | typeof anySegment)[] = []
  for (const part of rest ? parts.slice(0, -1) : parts) {
    if (part === '**') return fault(text, 'has ** before its end: ** is only ever last; * stands for one segment')
    if (part === '' && segments.length < parts.length - 1)
      return fault(text, 'has an empty segment: write one / where there are two')
    const segment = part === '*' ? anySegment : parseLiteral(part)
    if (typeof segment === 'object') return fault(text, segment.fault)
    segments.push(segment)
  }
  return { pattern: { segments, rest } }
}

function parseLiteral(part: string): string | { fault: string } {
  if (part.includes('*'))
    return {
      fault: `mixes * with text in "${part}": * stands for one whole segment, ** for the rest; a real asterisk is %2A`,
    }
  if (/^:\w+$|^\{.*\}$/.test(part))
    return {
      fault: `has "${part}", which would be taken literally: write * for one segment, or ${part.replace(/[:{}]/g, (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`)}`,
    }
  const literal = decodeSegment(encodeUnicode(part))
  if (literal === undefined) return { fault: `has malformed percent-encoding in "${part}": a real % is %25` }
  if (!literal.isWellFormed()) return { fault: `has bytes in "${part}" that are not UTF-8` }
  if (/[/\\]/.test(literal)) return { fault: `has a slash or backslash inside "${part}", which no server reads alike` }
  if (isForbidden(literal))
    return { fault: `has "${part}", a dot segment or a control character, which no request may have` }
  if (literal !== literal.normalize('NFKC'))
    return { fault: `has "${part}" in a compatibility form: write "${literal.normalize('NFKC')}"` }
  return literal
}

/** Unicode in the file means its UTF-8 bytes. */
function encodeUnicode(part: string): string {
  return Buffer.from(part).toString('latin1')
}

function fault(text: string, what: string): Parsed {
  return { fault: `is "${text}", and ${what}` }
}

/** The raw path of a pattern, with `any` for each `*` and `rest` for `**`; one spelling for each pattern. */
export function writePath(pattern: PathPattern, wildcards: { readonly any: string; readonly rest: string }): string {
  const segments = pattern.segments.map((segment) => (segment === anySegment ? wildcards.any : encodeSegment(segment)))
  return `/${[...segments, ...(pattern.rest ? [wildcards.rest] : [])].join('/')}`
}

function encodeSegment(literal: string): string {
  return encodeURIComponent(literal).replaceAll('*', '%2A')
}
