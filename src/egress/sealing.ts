import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { listOf, secret } from '../base/scalars.ts'
import type { Secret } from '../base/secret.ts'

/** What makes text unreadable where it is kept, and its names mean nothing. */
export interface Sealing {
  /** The names of what is kept, from its canonical form: one for each key, that of the first key first. */
  namesOf(canonical: string): readonly string[]
  /** Encrypts with the first key. */
  seal(name: string, text: string): string
  /** `undefined` for what is malformed, was changed, stood under another name, or was encrypted with an unknown key. */
  open(name: string, sealed: string): string | undefined
  /** True if it was encrypted with the first key. */
  isCurrent(sealed: string): boolean
}

/** Its own name and key space for each form of what is kept, so that two versions of the program can run side by side. */
const format = 'v1'
const keyBytes = 32
const ivBytes = 12
const tagBytes = 16

interface DerivedKey {
  readonly id: string
  readonly encrypt: Buffer
  readonly name: Buffer
}

/** The 32 bytes of a key in base64url (base64 will do), or `undefined`. */
function readEncryptionKey(secret: Secret): Buffer | undefined {
  const written = secret.read()
  if (!/^[\w+/-]{43}=?$/.test(written)) return undefined
  const key = Buffer.from(written, 'base64url')
  return key.length === keyBytes ? key : undefined
}

/** The keys as a configuration gives them. */
export const encryptionKeys = () =>
  listOf(
    secret().refine((key) => readEncryptionKey(key) !== undefined, {
      error: 'must be 32 bytes in base64 or base64url, such as `openssl rand -base64 32` makes',
    }),
  ).describe('32 bytes in base64 or base64url each; the first encrypts, all decrypt')

/**
 * AES-256-GCM with the name as additional data, so that an entry moved under another name is of no use. Names are
 * HMAC-SHA-256. Each has a key of its own, derived from each of the keys for what is `kept`.
 * @throws {TypeError} for a key that is not 32 bytes
 */
export function createSealing(secrets: readonly Secret[], kept: 'token cache' | 'registrations'): Sealing {
  const keys = secrets.map((secret) => deriveKeys(secret, kept))
  const [first] = keys
  if (!first) throw new TypeError('nothing can be kept without an encryption key')
  return {
    namesOf: (canonical) => keys.map(({ name }) => createHmac('sha256', name).update(canonical).digest('base64url')),
    seal(name, text) {
      const iv = randomBytes(ivBytes)
      const cipher = createCipheriv('aes-256-gcm', first.encrypt, iv).setAAD(additionalData(name))
      const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()])
      return `${format}.${first.id}.${Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url')}`
    },
    open(name, sealed) {
      const [version, id, body = '', ...rest] = sealed.split('.')
      const key = keys.find((known) => known.id === id)
      if (version !== format || !key || rest.length > 0) return undefined
      return decrypt(key.encrypt, name, Buffer.from(body, 'base64url'))
    },
    isCurrent: (sealed) => sealed.startsWith(`${format}.${first.id}.`),
  }
}

function deriveKeys(secret: Secret, kept: string): DerivedKey {
  const key = readEncryptionKey(secret)
  if (!key) throw new TypeError('an encryption key must be 32 bytes in base64url')
  const derive = (purpose: string, bytes = keyBytes) =>
    Buffer.from(hkdfSync('sha256', key, '', `scopegate ${kept} ${format}: ${purpose}`, bytes))
  return { id: derive('key id', 8).toString('base64url'), encrypt: derive('encryption'), name: derive('names') }
}

function decrypt(key: Buffer, name: string, sealed: Buffer): string | undefined {
  const iv = sealed.subarray(0, ivBytes)
  const tag = sealed.subarray(ivBytes, ivBytes + tagBytes)
  // A shorter tag would be taken as well, and is easier to guess.
  if (tag.length !== tagBytes) return undefined
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: tagBytes })
    decipher.setAAD(additionalData(name)).setAuthTag(tag)
    return decipher.update(sealed.subarray(ivBytes + tagBytes), undefined, 'utf8') + decipher.final('utf8')
  } catch {
    return undefined
  }
}

function additionalData(name: string): Buffer {
  return Buffer.from(`${format} ${name}`)
}
