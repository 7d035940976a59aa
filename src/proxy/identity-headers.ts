import { type ClaimPath, readClaim } from '../base/claim-path.ts'
import { foldHeaderName } from '../base/header-lists.ts'

/** Which header tells which claim. */
export type IdentityHeaders = Readonly<Record<string, ClaimPath>>

/** A route's own header replaces the one of all routes that servers could take for the same, however either is spelt. */
export function mergeIdentityHeaders(all: IdentityHeaders = {}, own: IdentityHeaders = {}): IdentityHeaders {
  const names = new Set(Object.keys(own).map(foldHeaderName))
  const others = Object.entries(all).filter(([name]) => !names.has(foldHeaderName(name)))
  return Object.fromEntries([...others, ...Object.entries(own)])
}

/** The headers, by lower-case name, that tell these claims; a claim that is absent gives no header. */
export function identityHeaderValues(headers: IdentityHeaders, claims: object): Map<string, string> {
  const values = new Map<string, string>()
  for (const [name, path] of Object.entries(headers)) {
    const text = claimText(readClaim(claims, path))
    if (text !== undefined) values.set(name.toLowerCase(), text)
  }
  return values
}

/** A claim as a header value: arrays joined by a space, what is not printable ASCII percent-encoded. */
export function claimText(claim: unknown): string | undefined {
  if (!Array.isArray(claim)) return isScalar(claim) ? encodeText(String(claim), outerSpace) : undefined
  return claim
    .filter(isScalar)
    .map((entry) => encodeText(String(entry), anySpace))
    .join(' ')
}

function isScalar(value: unknown): boolean {
  // Beyond these, neighbouring numbers are read as one and the same: two users would arrive as one.
  if (typeof value === 'number') return Math.abs(value) <= Number.MAX_SAFE_INTEGER
  return typeof value === 'string' || typeof value === 'boolean'
}

// A blank at either end is lost on the way: the user " admin" would arrive as "admin".
const outerSpace = /^ +| +$/g
// A blank within an entry would make two of one: the group "guests admin" would arrive as the group "admin" too.
const anySpace = / /g

/**
 * A line break would begin a header of its own, hence the encoding. `%` is encoded too: otherwise the user "%61dmin"
 * would arrive, decoded, as "admin".
 */
function encodeText(text: string, spaces: RegExp): string {
  const encoded = text.replace(/[^\x20-\x24\x26-\x7e]+/gu, (part) =>
    [...Buffer.from(part)].map((byte) => percent(byte)).join(''),
  )
  return encoded.replace(spaces, (blanks) => '%20'.repeat(blanks.length))
}

function percent(byte: number): string {
  return `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
}
