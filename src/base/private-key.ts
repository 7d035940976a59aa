import { createPrivateKey, type KeyObject } from 'node:crypto'
import type { OptionFault } from './fault-rule.ts'

/** A key or certificate that cannot be used: which option is at fault, and why. Its message never quotes any of it. */
export class KeyFault extends Error {
  override readonly name = 'KeyFault'
  readonly option: string

  constructor(option: string, message: string) {
    super(message)
    this.option = option
  }
}

/** Runs what reads keys, and gives what it finds wrong with them as a fault of the options. */
export function keyFaultOf(read: () => unknown, at: readonly string[] = []): OptionFault | undefined {
  try {
    read()
    return undefined
  } catch (error) {
    if (error instanceof KeyFault) return { path: [...at, error.option], message: error.message }
    throw error
  }
}

/**
 * Reads a private key: PEM in PKCS#8, PKCS#1 or SEC1, encrypted or not, or a JWK as JSON.
 * @throws {KeyFault}
 * @see https://www.rfc-editor.org/rfc/rfc7468
 */
export function readPrivateKey(text: string, passphrase?: string): KeyObject {
  if (!text.trimStart().startsWith('{')) return importPem(text, passphrase)
  if (passphrase !== undefined) throw needlessPassphrase()
  return importJwk(parsePrivateJwk(text))
}

/** The members of a private JWK; `undefined` for a key in PEM. @throws {KeyFault} */
export function readPrivateJwk(text: string): Record<string, unknown> | undefined {
  return text.trimStart().startsWith('{') ? parsePrivateJwk(text) : undefined
}

/** In an environment variable the lines of a PEM are often joined by a backslash and an n. */
export function unfoldPem(text: string): string {
  return text.replaceAll('\\n', '\n')
}

function importPem(text: string, passphrase: string | undefined): KeyObject {
  const pem = unfoldPem(text)
  const label = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(pem.replace(/-----BEGIN EC PARAMETERS-----/, ''))?.[1]
  if (label === undefined)
    throw new KeyFault('private_key', 'is neither a key in PEM nor a JWK; give the whole file, as in ${file:key.pem}')
  if (!label.endsWith('PRIVATE KEY'))
    throw new KeyFault('private_key', `is a ${label.toLowerCase()}, and must be the private key`)
  const encrypted = label.startsWith('ENCRYPTED') || /^Proc-Type: 4,ENCRYPTED/m.test(pem)
  if (encrypted && passphrase === undefined)
    throw new KeyFault('private_key', 'is encrypted; give its private_key_passphrase beside it')
  if (!encrypted && passphrase !== undefined) throw needlessPassphrase()
  try {
    return createPrivateKey({ key: pem, ...(encrypted && passphrase !== undefined && { passphrase }) })
  } catch {
    throw encrypted
      ? new KeyFault('private_key_passphrase', 'does not open the private key')
      : new KeyFault('private_key', `is no readable ${label.toLowerCase()} in PEM`)
  }
}

/** Somebody believes the key to be protected, or has given another key than was meant. */
function needlessPassphrase(): KeyFault {
  return new KeyFault('private_key_passphrase', 'is given, and the private key is not encrypted; remove it')
}

function importJwk(jwk: Record<string, unknown>): KeyObject {
  try {
    return createPrivateKey({ key: jwk, format: 'jwk' })
  } catch {
    throw new KeyFault('private_key', 'is a JWK whose members do not make a private key')
  }
}

function parsePrivateJwk(text: string): Record<string, unknown> {
  const jwk = parse(text)
  if ('keys' in jwk) throw new KeyFault('private_key', 'is a JWK set; give the one JWK that is meant')
  if (jwk.kty === 'oct') throw new KeyFault('private_key', 'is a symmetric JWK, and must be a private key')
  if (typeof jwk.d !== 'string') throw new KeyFault('private_key', 'is a public JWK: its private part ("d") is missing')
  return jwk
}

function parse(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Record<string, unknown>
  } catch {
    // Told below: the parser's own message would quote the key.
  }
  throw new KeyFault('private_key', 'begins like a JWK, and is no JSON object')
}
