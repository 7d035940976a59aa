import { z } from 'zod'
import type { ClientAuthMethod } from '../../authorization-server/client-auth/define.ts'
import { clientAuthMethods } from '../../authorization-server/client-auth/index.ts'
import type { OptionFault } from '../../base/fault-rule.ts'
import { secret, text } from '../../base/scalars.ts'
import { parseScope } from '../../base/scope.ts'
import { Substituted } from '../../base/substituted.ts'
import { encryptionKeys } from '../sealing.ts'

type Report = (path: readonly PropertyKey[], message: string) => void

/** What JSON can say, as YAML gave it; in texts a variable may have stood. What it cannot say is reported. */
function readJson(value: unknown, path: readonly PropertyKey[], report: Report): unknown {
  if (value instanceof Substituted) {
    if (!value.fromFile) return value.read()
    return report(path, '${file:…} is for secrets and certificates alone; use ${env:…} or write the value here')
  }
  if (Array.isArray(value)) return value.map((item, index) => readJson(item, [...path, index], report))
  if (typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (value === null) return report(path, 'is empty: give it a value, or remove the key')
  if (typeof value !== 'object') return report(path, 'must be text, a number, true, false, a list or a map')
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, readJson(item, [...path, key], report)]))
}

const texts = ['client_name', 'client_uri', 'logo_uri', 'scope', 'tos_uri', 'policy_uri', 'jwks_uri', 'software_id']
const lists = ['redirect_uris', 'grant_types', 'response_types', 'contacts']
const answers = [
  ...['client_id', 'client_secret', 'client_id_issued_at', 'client_secret_expires_at'],
  ...['registration_access_token', 'registration_client_uri'],
]
const methodNames: readonly unknown[] = clientAuthMethods
  .map(({ name }) => name)
  .filter((name) => name !== 'client_assertion')
const isTextList = (value: unknown) => Array.isArray(value) && value.every((item) => typeof item === 'string')

/** What is wrong with one member, by what RFC 7591 says of it; members of others are their server's to judge. */
function judgeMember(name: string, value: unknown): string | undefined {
  const [plain = ''] = name.split('#')
  if (answers.includes(plain)) return 'is for the server to say: remove it'
  if (plain === 'software_statement') return 'belongs beside metadata: registration.software_statement'
  if ([...texts, 'token_endpoint_auth_method', 'software_version'].includes(plain) && typeof value !== 'string')
    return plain === 'scope' ? 'must be text, the values separated by spaces' : 'must be text'
  if (lists.includes(plain) && !isTextList(value)) return 'must be a list of texts'
  if (plain === 'token_endpoint_auth_method' && !methodNames.includes(value))
    return `is no method that scopegate has; there is ${methodNames.join(', ')}`
  if (plain !== 'jwks') return undefined
  const keys: unknown = Object(value).keys
  if (!Array.isArray(keys)) return 'must be a JWK set: { keys: [ … ] }'
  const isPrivate = keys.some((key) => ['d', 'k', 'p', 'q'].some((member) => Object.hasOwn(Object(key), member)))
  return isPrivate
    ? 'has a private key in it, which would be sent to the server: give the public part alone'
    : undefined
}

/** Client metadata: any member of RFC 7591, and of whatever else the server knows. */
const metadata = z
  .record(z.string(), z.unknown())
  .transform((given, context) => {
    const report: Report = (path, message) => context.addIssue({ code: 'custom', path: [...path], message })
    const read = readJson(given, [], report) as Record<string, unknown>
    for (const [name, value] of Object.entries(read)) {
      const fault = value === undefined ? undefined : judgeMember(name, value)
      if (fault !== undefined) report([name], fault)
    }
    if (read.jwks !== undefined && read.jwks_uri !== undefined)
      report(['jwks_uri'], 'stands beside jwks, and a client has one of them (RFC 7591 section 2)')
    return read
  })
  .describe('client metadata (RFC 7591 section 2), sent as it stands; any member that the server knows')

/** How a client registers itself, in place of the client_id and secret that somebody else has registered. */
export const registrationOptions = z.strictObject({
  metadata: metadata.prefault({}),
  initial_access_token: secret().optional().describe('for servers that let nobody register without one'),
  software_statement: secret().optional().describe('a signed JWT about the software, for servers that want one'),
})

export type RegistrationOptions = z.output<typeof registrationOptions>

/** Where registrations are kept without a Redis. */
export const registrationFileOptions = z
  .strictObject({
    file: text().describe('made by scopegate, in a folder that is there; relative to the configuration file'),
    encryption_keys: encryptionKeys(),
  })
  .describe(
    'where clients with registration are kept without token_cache.redis; one file for all processes of a machine',
  )

export type RegistrationFileOptions = z.output<typeof registrationFileOptions>

type Given = Readonly<Record<string, unknown>>

/** Members that a client has as keys of its own too. */
export const sharedMembers = [
  'token_endpoint_auth_method',
  'token_endpoint_auth_signing_alg',
  'tls_client_certificate_bound_access_tokens',
] as const

/** What does not go together with a registration, or is missing without one. */
export function findIdentityFault(method: ClientAuthMethod, given: Given): OptionFault | undefined {
  const registration = given.registration as RegistrationOptions | undefined
  const hasSecret = Object.hasOwn(method.options, 'client_secret')
  if (!registration) {
    if (given.client_id === undefined) return { path: ['client_id'], message: 'is missing, and must be given' }
    const lacksSecret = hasSecret && given.client_secret === undefined
    return lacksSecret ? { path: ['client_secret'], message: 'is missing, and must be given' } : undefined
  }
  for (const key of ['client_id', 'client_secret'])
    if (given[key] !== undefined)
      return { path: [key], message: 'stands beside registration, in which the server gives it: keep one of them' }
  if (method.name === 'client_assertion') {
    const message =
      'cannot be had by a client_assertion, which names a client that is known already; give its client_id'
    return { path: ['registration'], message }
  }
  return findContradiction(registration, given)
}

function findContradiction({ metadata }: RegistrationOptions, given: Given): OptionFault | undefined {
  const at = (name: string) => ['registration', 'metadata', name]
  const contradicted = sharedMembers.find(
    (name) => metadata[name] !== undefined && given[name] !== undefined && metadata[name] !== given[name],
  )
  if (contradicted !== undefined) {
    const message = `says otherwise than the client does with its own ${contradicted}: keep one of them`
    return { path: at(contradicted), message }
  }
  const registered = typeof metadata.scope === 'string' ? parseScope(metadata.scope) : undefined
  const asked = (given.scopes ?? given.scope ?? []) as readonly string[]
  const beyond = registered && asked.find((value) => !registered.includes(value))
  if (beyond === undefined) return undefined
  return {
    path: at('scope'),
    message: `lacks ${beyond}, which the client asks for: write it here too, or there no more`,
  }
}
