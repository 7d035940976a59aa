import { X509Certificate } from 'node:crypto'
import { z } from 'zod'
import { parseClaimPath } from './claim-path.ts'
import { isNetwork } from './network.ts'
import { unfoldPem } from './private-key.ts'
import { isScopeToken, parseScope } from './scope.ts'
import { Secret } from './secret.ts'
import { Substituted } from './substituted.ts'

/**
 * The kinds of single values that the configuration knows. Each reads what YAML gave, or a {@link Substituted}, and
 * says in one sentence what is wrong and what would be right. Each carries its own JSON Schema for editors.
 */
type Reading<Value> = { readonly value: Value } | { readonly fault: string }

/** What stands in an issue's `params`, for the loader, which knows the text of the file. */
export interface ScalarIssue {
  /** The value is a number or a boolean where text belongs. */
  readonly unquoted?: true
}

/** What editors accept beside the value itself. */
const substituted = { type: 'string', pattern: '\\$\\{env:' } as const

function defineScalar<Value>(
  jsonSchema: Record<string, unknown>,
  read: (input: unknown) => Reading<Value>,
  { isText = false } = {},
) {
  return z
    .unknown()
    .transform((input, context): Value => {
      const reading =
        input === undefined
          ? { fault: 'is missing, and must be given' }
          : input === null
            ? { fault: 'is empty: give it a value, or remove the key' }
            : read(input)
      if ('value' in reading) return reading.value
      const unquoted = isText && ['number', 'bigint', 'boolean'].includes(typeof input)
      const params: ScalarIssue = unquoted ? { unquoted } : {}
      context.addIssue({ code: 'custom', message: reading.fault, params: { ...params } })
      return z.NEVER
    })
    .meta(jsonSchema)
}

function readText(input: unknown): Reading<string> {
  if (input instanceof Substituted) {
    return input.fromFile
      ? { fault: '${file:…} is for secrets and certificates alone; use ${env:…} or write the value here' }
      : { value: input.read() }
  }
  if (typeof input === 'string') return input === '' ? { fault: 'is empty text' } : { value: input }
  return { fault: `must be text, and is ${kindOf(input)}` }
}

/** What somebody put into a variable may be a secret in the wrong place: told is where it comes from. */
function unfit(input: unknown, value: string, expected: string): { readonly fault: string } {
  const found = input instanceof Substituted ? `the value of ${input.written}` : JSON.stringify(value)
  return { fault: `is ${found}, and must be ${expected}` }
}

function kindOf(input: unknown): string {
  if (Array.isArray(input)) return 'a list'
  if (typeof input === 'object') return 'a map'
  return `a ${typeof input === 'bigint' ? 'number' : typeof input}`
}

/** Text for which `parse` gives something other than `undefined`; `expected` says what would be right. */
export function parsedText<Value>(
  expected: string,
  parse: (text: string) => Value | undefined,
  jsonSchema: Record<string, unknown> = {},
) {
  return defineScalar<Value>({ type: 'string', ...jsonSchema }, (input) => {
    const reading = readText(input)
    if ('fault' in reading) {
      return typeof input === 'string' || input instanceof Substituted
        ? reading
        : { fault: `is ${kindOf(input)}, and must be ${expected}` }
    }
    const value = parse(reading.value)
    return value === undefined ? unfit(input, reading.value, expected) : { value }
  })
}

/** Text about which `judge` has nothing to say; `expected` is told where the value is not to be shown. */
export function judgedText(
  expected: string,
  judge: (text: string) => string | undefined,
  jsonSchema: Record<string, unknown> = {},
) {
  const read = (input: unknown): Reading<string> => {
    const reading = readText(input)
    const fault = 'fault' in reading ? undefined : judge(reading.value)
    if ('fault' in reading || fault === undefined) return reading
    return input instanceof Substituted ? unfit(input, reading.value, expected) : { fault }
  }
  return defineScalar<string>({ type: 'string', ...jsonSchema }, read, { isText: true })
}

/** Any text but the empty one. */
export const text = () => defineScalar<string>({ type: 'string', minLength: 1 }, readText, { isText: true })

/** One of the given words. */
export function oneOf<const Word extends string>(...words: readonly Word[]) {
  return parsedText<Word>(`one of ${words.join(', ')}`, (given) => words.find((word) => word === given), {
    anyOf: [{ enum: [...words] }, substituted],
  })
}

/** A whole number within the bounds, both included. */
export function integer(minimum: number, maximum: number) {
  return defineScalar<number>({ anyOf: [{ type: 'integer', minimum, maximum }, substituted] }, (input) => {
    const value = input instanceof Substituted && /^-?\d{1,15}$/.test(input.read()) ? Number(input.read()) : input
    if (typeof value === 'number' && Number.isInteger(value) && value >= minimum && value <= maximum) return { value }
    return { fault: `must be a whole number from ${minimum} to ${maximum}` }
  })
}

/** `true` or `false`. */
export const flag = () =>
  defineScalar<boolean>({ anyOf: [{ type: 'boolean' }, substituted] }, (input) => {
    const value = input instanceof Substituted ? { true: true, false: false }[input.read()] : input
    return typeof value === 'boolean' ? { value } : { fault: 'must be true or false' }
  })

/** A timer of Node's that is to run for 2^31 ms or longer fires at once, or throws: no duration comes near it. */
const longestDuration = 576 * 3_600_000

const millisecondsIn = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 } as const

/** A duration above zero and of at most 24 days, in milliseconds: `500ms`, `30s`, `5m`, `1h`. */
export const duration = () =>
  parsedText<number>(
    'a duration such as 500ms, 30s, 5m or 1h, more than zero and 576h at most',
    (given) => {
      const match = /^(\d{1,9})(ms|s|m|h)$/.exec(given)
      const value = match ? Number(match[1]) * millisecondsIn[match[2] as keyof typeof millisecondsIn] : 0
      return value > 0 && value <= longestDuration ? value : undefined
    },
    { pattern: '^(\\d{1,9}(ms|s|m|h)|.*\\$\\{env:.*)$' },
  )

const bytesIn = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 } as const

function parseSize(given: string): number | undefined {
  const match = /^(\d{1,9})(B|KiB|MiB|GiB)$/.exec(given)
  const value = match ? Number(match[1]) * bytesIn[match[2] as keyof typeof bytesIn] : 0
  return value > 0 ? value : undefined
}

/** A size above zero and up to `most`, in bytes: `512B`, `16KiB`, `1MiB`. */
export const size = (most: string) =>
  parsedText<number>(
    `a size such as 512B, 16KiB or 1MiB, ${most} at most`,
    (given) => {
      const bytes = parseSize(given)
      return bytes !== undefined && bytes <= (parseSize(most) ?? 0) ? bytes : undefined
    },
    { pattern: '^(\\d{1,9}(B|KiB|MiB|GiB)|.*\\$\\{env:.*)$' },
  )

/** The same, or the word `none`, which is 0. */
export const sizeOrNone = () =>
  parsedText<number>(
    'a size such as 512B, 16KiB or 1MiB, or none',
    (given) => (given === 'none' ? 0 : parseSize(given)),
    { pattern: '^(none|\\d{1,9}(B|KiB|MiB|GiB)|.*\\$\\{env:.*)$' },
  )

const defaultPorts: Record<string, string> = { 'http:': ':80', 'https:': ':443' }

/**
 * True if the text says of itself what `URL` makes of it: nothing trimmed, dropped, resolved or encoded on the way, so
 * that whoever reads it as text (a header, a comparison, a log) reads the same as whoever connects. A quote or backslash
 * would end the realm of a challenge.
 */
function isPlainUrl(given: string, { protocol, host, pathname, search }: URL): boolean {
  const [, authority, rest = ''] = /^https?:\/\/([^/?#]+)(.*)$/i.exec(given) ?? []
  if (authority === undefined || /[^\x21-\x7e]|["<>\\^`{|}]/.test(given)) return false
  const path = rest.startsWith('/') ? rest : `/${rest}`
  return [host, `${host}${defaultPorts[protocol]}`].includes(authority.toLowerCase()) && path === `${pathname}${search}`
}

/** An http or https URL without userinfo and fragment, as text: in printable ASCII, and in the form that is connected to. */
export const httpUrl = (example = 'https://sso.example.com') =>
  defineScalar<string>({ type: 'string' }, (input) => {
    const reading = readText(input)
    if ('fault' in reading) return reading
    const url = URL.canParse(reading.value) ? new URL(reading.value) : undefined
    // The value is not repeated: it may hold a password.
    if (url && (url.username !== '' || url.password !== ''))
      return { fault: 'has a user name or password in it, which is never sent: leave it out' }
    if (url && isPlainUrl(reading.value, url)) return reading
    // What is no URL can hold a password all the same, before its @.
    if (reading.value.includes('@')) return { fault: `must be a URL such as ${example}` }
    const other = /[^\x20-\x7e\s]/.test(reading.value) ? '; other letters in a host are written in their xn-- form' : ''
    return unfit(input, reading.value, `a URL such as ${example}${other}`)
  })

/** `loopback`, an address or a CIDR block. */
export const network = () =>
  parsedText<string>('a network such as loopback, 10.0.0.0/8 or ::1', (given) => (isNetwork(given) ? given : undefined))

/** A claim path such as `realm_access.roles` or `a["b.c"]`, parsed. */
export const claimPath = () => parsedText('a claim path such as realm_access.roles or a["b.c"]', parseClaimPath)

/** One scope value. */
export const scopeToken = () =>
  parsedText<string>('one scope value (several are a list: [a, b])', (given) =>
    isScopeToken(given) ? given : undefined,
  )

/** Scope values separated by spaces, as RFC 6749 section 3.3 writes them, parsed. */
export const scopeText = () =>
  parsedText<readonly string[]>('scope values separated by spaces in one text; or write scopes, a list', (given) => {
    const values = parseScope(given)
    return values.length > 0 && values.every(isScopeToken) ? values : undefined
  })

/** A secret: text, or `${env:…}`, or `${file:…}`, which is read again when it changes. */
export const secret = () =>
  defineScalar<Secret>({ type: 'string', minLength: 1 }, (input) => {
    if (input instanceof Substituted) return { value: new Secret(input.read, { plainText: input.hasDefault }) }
    const reading = readText(input)
    return 'fault' in reading ? reading : { value: new Secret(() => reading.value, { plainText: true }) }
  })

/** PEM certificates, from a file as a rule. */
export const certificates = () =>
  defineScalar<string>({ type: 'string' }, (input) => {
    const reading = input instanceof Substituted ? { value: input.read() } : readText(input)
    if ('fault' in reading) return reading
    const value = unfoldPem(reading.value)
    const [, ...blocks] = value.split('-----BEGIN CERTIFICATE-----')
    if (blocks.length === 0) return { fault: 'must be certificates in PEM, as in ${file:ca.pem}' }
    const broken = blocks.findIndex((block) => !isCertificate(`-----BEGIN CERTIFICATE-----${block}`))
    return broken < 0
      ? { value }
      : { fault: `has a certificate (number ${broken + 1} of ${blocks.length}) that cannot be read` }
  })

/** TLS skips what it cannot read, and then trusts less than somebody believes. */
function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0
  } catch {
    return false
  }
}

/** PEM certificates as {@link certificates}, read again when their file changes. */
export const certificateFile = () =>
  defineScalar<Secret>({ type: 'string' }, (input) => {
    const reading = input instanceof Substituted ? { value: input.read() } : readText(input)
    if ('fault' in reading) return reading
    if (!reading.value.includes('-----BEGIN CERTIFICATE-----'))
      return { fault: 'must be a certificate in PEM, as in ${file:client.pem}' }
    return { value: new Secret(input instanceof Substituted ? input.read : () => reading.value) }
  })

/**
 * Text of which nothing is secret, from a file as a rule and read again when that changes. `judge` says what is wrong with
 * it, and must not quote it; `expected` is told where there is no text.
 */
export const fileOf = (expected: string, judge: (text: string) => string | undefined) =>
  defineScalar<Secret>({ type: 'string' }, (input) => {
    const reading = input instanceof Substituted ? { value: input.read() } : readText(input)
    if ('fault' in reading) return { fault: `is ${kindOf(input)}, and must be ${expected}` }
    const fault = judge(reading.value)
    if (fault !== undefined) return { fault }
    if (!(input instanceof Substituted)) return { value: new Secret(() => reading.value) }
    return { value: new Secret(input.read, { isStale: input.isStale }) }
  })

/** When a rule over the keys of a map is asked: beside every other fault in it, and never where there is no map. */
export const ruleOverMap = {
  when: ({ value }: { readonly value: unknown }) => typeof value === 'object' && value !== null,
  params: { rule: true },
}

/** A list with at least one entry: emptiness never opens. */
export const listOf = <Entry extends z.ZodType>(entry: Entry) =>
  z.array(entry).min(1, 'is an empty list: name at least one, or remove the key')

/** One entry, or a list of at least one; always a list when read. */
export const oneOrMore = <Entry extends z.ZodType>(entry: Entry) =>
  z.union([listOf(entry), entry.transform((value) => [value])])
