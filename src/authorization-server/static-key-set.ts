import { deriveFrom } from '../base/derived.ts'
import type { Log } from '../base/log.ts'
import { fileOf } from '../base/scalars.ts'
import type { Secret } from '../base/secret.ts'
import { candidates, type KeySet } from './key-set.ts'
import { keepKnown, mostKeys } from './key-set-document.ts'
import type { PublicKey } from './public-key.ts'
import { readPublicKeys } from './public-key-list.ts'

/** Keys that stand in a file beside the configuration, and are never fetched. */
export const staticKeys = () =>
  fileOf('a JWK set, as in ${file:keys.json}', (text) => {
    const read = readStaticKeys(text)
    return 'fault' in read ? read.fault : undefined
  }).describe('a JWK set, or one JWK, from a file that is read again when it changes: nothing is fetched')

/**
 * The key set of a server whose keys stand in a file. A file that is gone or has become unusable leaves the last good keys
 * in force; a set without any key withdraws them.
 */
export function createStaticKeySet(file: Secret, name: string, log?: Log): KeySet {
  let known: readonly PublicKey[] = []
  const read = ({ file: text }: { readonly file: string }) => {
    const written = readStaticKeys(text)
    if ('fault' in written) throw new TypeError(written.fault)
    if (written.keys.length === 0) log?.warn({ authorization_server: name }, 'no keys: every token is refused')
    known = keepKnown(written.keys, known)
    return known
  }
  const notRenewed = (reason: string) => log?.warn({ authorization_server: name, reason }, 'keys not renewed')
  const keys = deriveFrom({ file }, read, (error) =>
    notRenewed(`jwks ${error instanceof TypeError ? error.message : 'cannot be read'}`),
  )
  let isGone = false
  const recent = () => {
    const found = keys.recent()
    if (file.isStale() && !isGone) notRenewed('the file of jwks is gone or empty; the keys that it had count still')
    isGone = file.isStale()
    return found
  }
  return {
    start() {},
    find: (wanted) => candidates(recent(), wanted),
    holds: (key) => recent().includes(key),
    stop() {},
  }
}

type StaticKeys = { readonly keys: readonly PublicKey[] } | { readonly fault: string }

/** Here somebody can be told: a file with a secret in it is refused as a whole. Keys for encryption may stand in it. */
export function readStaticKeys(text: string): StaticKeys {
  const written = listKeys(parse(text))
  if (!written) return { fault: 'must be a JWK set ({"keys": […]}) or one JWK, as JSON' }
  if (written.length > mostKeys) return { fault: `has more than ${mostKeys} keys` }
  const { keys, leftOut } = readPublicKeys(written)
  const told = leftOut.map(({ position, fault, secret }) => ({ message: `key ${position} ${fault}`, secret }))
  const secret = told.find((key) => key.secret)
  if (secret) return { fault: `holds a secret: ${secret.message}; give the public part of each key alone` }
  // An empty set is how the keys are withdrawn; one that has lost its good keys is a mistake.
  if (keys.length > 0 || written.length === 0) return { keys }
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
