import { createBoundedMap } from '../base/bounded-map.ts'
import { invalidToken } from './invalid-token.ts'
import { type JsonObject, readJsonObject } from './strict-json.ts'

/** A signed JWT, taken apart and not verified yet. */
export interface CompactJwt {
  readonly header: JsonObject
  readonly claims: JsonObject
}

/**
 * Takes a signed JWT in compact serialization apart, and refuses every form that other readers may take for something
 * else. Nothing is verified here; the size is the caller's to bound.
 * @throws {GatewayError} `invalid_token`
 * @see https://www.rfc-editor.org/rfc/rfc7515#section-7.1
 */
export function readCompactJwt(token: string): CompactJwt {
  // Several signatures, and headers that none of them covers: whoever reads it picks which one counts.
  if (token.trimStart().startsWith('{')) throw invalidToken('the token is in JSON serialization')
  const parts = token.split('.', 6)
  // An encrypted token can hide an unsigned one from everybody but its reader.
  if (parts.length === 5) throw invalidToken('the token is encrypted, or has five parts')
  const [header, payload, signature] = parts
  if (parts.length !== 3 || !header || !payload || !signature) return refuse(notInParts)
  decodePart(signature)
  return {
    header: readHeader(header),
    claims: readJsonObject(decodePart(payload)) ?? refuse('the payload is not exactly one JSON object'),
  }
}

const notInParts = 'the token is no signed JWT in three parts of base64url'

/** Padding, blanks, the other alphabet and stray bits would give one token many spellings. */
function decodePart(part: string): Buffer {
  const bytes = Buffer.from(part, 'base64url')
  return bytes.toString('base64url') === part ? bytes : refuse(notInParts)
}

/** A server writes the same one on all of its tokens. Few are kept, and no long ones: anybody can make some up. */
const headers = createBoundedMap<JsonObject>(100)
const longestKept = 500

function readHeader(part: string): JsonObject {
  const known = headers.get(part)
  if (known) return known
  const bytes = decodePart(part)
  const header = requirePlainHeader(readJsonObject(bytes))
  // Written anew: a part of a text holds on to all of it, which is the token here.
  if (part.length <= longestKept) headers.set(bytes.toString('base64url'), header)
  return header
}

/** Parameters that change how a token is to be read; ignoring them would be reading another token than was signed. */
const unsupported = ['crit', 'b64', 'zip', 'enc']

function requirePlainHeader(header: JsonObject | undefined): JsonObject {
  if (!header) return refuse('the header is not exactly one JSON object')
  const found = unsupported.find((parameter) => Object.hasOwn(header, parameter))
  if (found !== undefined) return refuse(`the header has ${found}, which is not supported`)
  // A token in a token has a signature that nobody looks at, one way or the other.
  return isNested(header) ? refuse('the header says by cty that another token is within') : header
}

/** @see https://www.rfc-editor.org/rfc/rfc7519#section-5.2 */
function isNested({ cty }: JsonObject): boolean {
  return cty !== undefined && !(typeof cty === 'string' && !/^(application\/)?(.*\+)?jwt$/i.test(cty))
}

function refuse(reason: string): never {
  throw invalidToken(reason)
}
