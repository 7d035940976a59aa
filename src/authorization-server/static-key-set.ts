import { deriveFrom } from '../base/derived.ts'
import type { Log } from '../base/log.ts'
import { fileOf } from '../base/scalars.ts'
import type { Secret } from '../base/secret.ts'
import { candidates, type KeySet } from './key-set.ts'
import { keepKnown, mostKeys } from './key-set-document.ts'
import { isUsable, type PublicKey, readPublicKey } from './public-key.ts'

/** Keys that stand in a file beside the configuration, and are never fetched. */
export const staticKeys = () =>
  fileOf('a JWK set, as in ${file:keys.json}', (text) => {
    const read = readStaticKeys(text)
    return 'fault' in read ? read.fault : undefined
  }).describe('a JWK set, or one JWK, from a file that is read again when it changes: nothing is fetched')

/** The key set of a server whose keys stand in a file. A file that has become unusable leaves the last good keys in force. */
export function createStaticKeySet(file: Secret, name: string, log?: Log): KeySet {
  let known: readonly PublicKey[] = []
  const read = ({ file: text }: { readonly file: string }) => {
    const written = readStaticKeys(text)
    if ('fault' in written) throw new TypeError(written.fault)
    known = keepKnown(written.keys, known)
    return known
  }
  const keys = deriveFrom({ file }, read, (error) => {
    const reason = `jwks ${error instanceof TypeError ? error.message : 'cannot be read'}`
    log?.warn({ authorization_server: name, reason }, 'keys not renewed')
  })
  return {
    start() {},
    find: async (wanted) => candidates(keys.recent(), wanted),
    holds: (key) => keys.recent().includes(key),
    stop() {},
  }
}

type StaticKeys = { readonly keys: readonly PublicKey[] } | { readonly fault: string }

/** Here somebody can be told: a file with a secret in it is refused as a whole. Keys for encryption may stand in it. */
function readStaticKeys(text: string): StaticKeys {
  const written = listKeys(parse(text))
  if (!written) return { fault: 'must be a JWK set ({"keys": […]}) or one JWK, as JSON' }
  if (written.length > mostKeys) return { fault: `has more than ${mostKeys} keys` }
  const read = written.map(readPublicKey)
  const told = read.flatMap((key, index) =>
    isUsable(key) ? [] : [{ ...key, message: `key ${index + 1} ${key.fault}` }],
  )
  const secret = told.find((key) => key.secret)
  if (secret) return { fault: `holds a secret: ${secret.message}; give the public part of each key alone` }
  const keys = read.filter(isUsable)
  if (keys.length > 0) return { keys }
  return { fault: ['has no key that can verify signatures', ...told.map(({ message }) => message)].join('; ') }
}

function listKeys(document: unknown): readonly unknown[] | undefined {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) return undefined
  if ('keys' in document) return Array.isArray(document.keys) ? document.keys : undefined
  return 'kty' in document ? [document] : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Its message quotes the text, in which there may be a private key.
    return undefined
  }
}
