export type JsonObject = Readonly<Record<string, unknown>>

const deepest = 32

/**
 * Reads a JSON object that cannot be understood in two ways. `undefined` for anything else: bytes that are not UTF-8, a
 * byte order mark, a member name that stands twice, text with half a surrogate pair, a number beyond all numbers, nesting
 * beyond 32 levels.
 * @see https://www.rfc-editor.org/rfc/rfc8725#section-2.4
 */
export function readJsonObject(bytes: Uint8Array): JsonObject | undefined {
  const text = decodeUtf8(bytes)
  const value = text === undefined ? undefined : parse(text)
  if (text === undefined || typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  // Of two members with one name parsers take either: the one that we check, and the one that the upstream believes.
  return countMembers(value, deepest) === countWrittenMembers(text) ? (value as JsonObject) : undefined
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function decodeUtf8(bytes: Uint8Array): string | undefined {
  try {
    return utf8.decode(bytes)
  } catch {
    return undefined
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Its message quotes the text, which is the token's: it must go nowhere.
    return undefined
  }
}

const [quote, colon, backslash] = ['"', ':', '\\'].map((character) => character.charCodeAt(0))

/** How many member names stand in a text that is known to be JSON: as many as colons between its strings. */
function countWrittenMembers(text: string): number {
  let count = 0
  let isInString = false
  for (let at = 0; at < text.length; at++) {
    const character = text.charCodeAt(at)
    if (character === quote) isInString = !isInString
    else if (isInString && character === backslash) at++
    else if (!isInString && character === colon) count++
  }
  return count
}

/** How many members a parsed value has, at all depths; NaN, which equals nothing, for one that is refused. */
function countMembers(value: unknown, depth: number): number {
  if (typeof value === 'string') return value.isWellFormed() ? 0 : Number.NaN
  // 1e400 is Infinity here, and something else elsewhere.
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : Number.NaN
  if (typeof value !== 'object' || value === null) return 0
  if (depth === 0) return Number.NaN
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + countMembers(item, depth - 1), 0)
  let count = 0
  for (const [name, member] of Object.entries(value))
    count += (name.isWellFormed() ? 1 : Number.NaN) + countMembers(member, depth - 1)
  return count
}
