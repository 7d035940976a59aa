import { randomBytes } from 'node:crypto'
import { record } from './records.ts'

const shortest = 8

/**
 * Notes a secret or a token of this test run; at its end no log line and no recorded output may contain it, in any usual
 * spelling. Returns it. Throws a TypeError for one so short that it would be found everywhere.
 */
export function registerSecret(secret: string): string {
  if (secret.length < shortest) throw new TypeError(`a test's secret needs ${shortest} characters: "${secret}"`)
  record('secrets', `${JSON.stringify(secret)}\n`)
  return secret
}

/** A fresh secret, registered. */
export function createSecret(): string {
  return registerSecret(randomBytes(24).toString('base64url'))
}

const jwt = /eyJ[\w-]{6,}\.eyJ[\w-]{6,}/

/** What is wrong with a text that must hold no secret: one sentence for each finding, without the secret itself. */
export function findLeaks(text: string, secrets: readonly string[]): string[] {
  return createLeakFinder(secrets)(text)
}

/** The same for many texts: each is gone through once, however many secrets there are. */
export function createLeakFinder(secrets: readonly string[]): (text: string) => string[] {
  const beginnings = new Map<string, Map<string, string>>()
  for (const secret of new Set(secrets)) {
    for (const spelling of spellings(secret)) {
      const beginning = spelling.slice(0, shortest)
      beginnings.set(beginning, (beginnings.get(beginning) ?? new Map()).set(spelling, secret))
    }
  }
  return (text) => {
    const leaked = new Set<string>()
    for (let at = 0; at + shortest <= text.length; at++) {
      for (const [spelling, secret] of beginnings.get(text.slice(at, at + shortest)) ?? [])
        if (text.startsWith(spelling, at)) leaked.add(secret)
    }
    const findings = [...leaked].map((secret) => `a registered secret or token stands in it: ${secret.slice(0, 3)}…`)
    return jwt.test(text) ? [...findings, 'something that looks like a JWT stands in it'] : findings
  }
}

/** The secret as it is, as JSON, a URL, a form and Base64 would spell it; of a JWT also the signature alone. */
function spellings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const signature = /^eyJ[\w-]+\.[\w-]+\.([\w-]{16,})$/.exec(secret)?.[1]
  return [
    secret,
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret),
    new URLSearchParams({ secret }).toString().slice('secret='.length),
    bytes.toString('base64').replace(/=+$/, ''),
    bytes.toString('base64url'),
    ...(signature ? [signature] : []),
  ]
}
