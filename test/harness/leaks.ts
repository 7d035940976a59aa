import { createPrivateKey, type JsonWebKey } from 'node:crypto'
import { readingsOf } from './readings.ts'
import { shortestSecret } from './secrets.ts'

const jwt = /eyJ[\w-]{6,}\.eyJ[\w-]{6,}/

/** What is wrong with a text that must hold no secret: one sentence for each finding, without the secret itself. */
export function findLeaks(text: string, secrets: readonly string[]): string[] {
  return createLeakFinder(secrets)(text)
}

/** The same for many texts: each is gone through once, however many secrets there are. */
export function createLeakFinder(secrets: readonly string[]): (text: string) => string[] {
  const beginnings = new Map<string, Map<string, string>>()
  const hashes = new Uint8Array(2 ** hashBits)
  for (const secret of new Set(secrets)) {
    for (const trace of tracesOf(secret)) {
      const beginning = trace.slice(0, shortestSecret)
      beginnings.set(beginning, (beginnings.get(beginning) ?? new Map()).set(trace, secret))
      forEachHash(beginning, (hash) => {
        hashes[hash] = 1
      })
    }
  }
  const look = (text: string, leaked: Set<string>) =>
    forEachHash(text, (hash, at) => {
      if (hashes[hash] === 0) return
      for (const [trace, secret] of beginnings.get(text.slice(at, at + shortestSecret)) ?? [])
        if (text.startsWith(trace, at)) leaked.add(secret)
    })
  return (text) => {
    const leaked = new Set<string>()
    let jwtFound = false
    for (const reading of readingsOf(text)) {
      look(reading, leaked)
      jwtFound ||= jwt.test(reading)
    }
    const findings = [...leaked].map((secret) => `a registered secret or token stands in it: ${secret.slice(0, 3)}…`)
    return jwtFound ? [...findings, 'something that looks like a JWT stands in it'] : findings
  }
}

const hashBits = 20

/** Of each eight characters, and where they begin: nearly everything is no beginning of a secret, and this tells so soon. */
function forEachHash(text: string, take: (hash: number, at: number) => void): void {
  let last = 0
  for (let end = 0; end < text.length; end++) {
    // Four bits for each character: after eight of them an older one is gone.
    last = (last << (32 / shortestSecret)) ^ text.charCodeAt(end)
    if (end >= shortestSecret - 1) take(Math.imul(last, 0x9e3779b1) >>> (32 - hashBits), end - shortestSecret + 1)
  }
}

/** What of a secret gives it away wherever it stands, as text or as bytes. */
function tracesOf(secret: string): string[] {
  const signature = /^eyJ[\w-]+\.[\w-]+\.([\w-]{16,})$/.exec(secret)?.[1]
  const texts = signature === undefined ? [secret] : [secret, signature]
  const traces = [
    ...texts.flatMap((text) => [text, binary(Buffer.from(text))]),
    // The bytes that a random secret or a key is the spelling of.
    ...texts.filter((text) => /^[\w+/-]{22,}=*$/.test(text)).map((text) => binary(Buffer.from(text, 'base64'))),
    // Too short to be taken for Base64 and read as such.
    ...(secret.length < 12 ? [Buffer.from(secret).toString('base64url')] : []),
    ...privatePartsOf(secret).flatMap(piecesOf),
  ]
  return [...new Set(traces)].filter((trace) => trace.length >= shortestSecret)
}

const binary = (bytes: Buffer) => bytes.toString('latin1')

/** Of a private key, in PEM or as a JWK, the numbers that nobody may know; of an encrypted one all that is encrypted. */
function privatePartsOf(secret: string): Buffer[] {
  const pem = secret.replaceAll('\\n', '\n')
  const body = /-----BEGIN [A-Z ]*PRIVATE KEY-----\n(?:.+: .+\n)*([\w+/=\s]+)-----END/.exec(pem)?.[1]
  const jwk = secret.startsWith('{') ? readJwk(() => JSON.parse(secret)) : body && readJwk(() => exportJwk(pem))
  if (!jwk) return body === undefined ? [] : [Buffer.from(body, 'base64')]
  const { d, p, q, dp, dq, qi } = jwk
  return [d, p, q, dp, dq, qi].flatMap((part) => (typeof part === 'string' ? [Buffer.from(part, 'base64url')] : []))
}

const exportJwk = (pem: string): JsonWebKey => createPrivateKey(pem).export({ format: 'jwk' })

function readJwk(read: () => JsonWebKey): JsonWebKey | undefined {
  try {
    return read()
  } catch {
    // It is encrypted, or a test's own broken one.
    return undefined
  }
}

const pieceBytes = 16

/** A line of a key tells as much as it is long. */
function piecesOf(bytes: Buffer): string[] {
  return Array.from({ length: Math.floor(bytes.length / pieceBytes) }, (_, index) =>
    binary(bytes.subarray(index * pieceBytes, (index + 1) * pieceBytes)),
  )
}
