import { z } from 'zod'
import { isSignatureAlgorithm, signatureAlgorithmNames } from '../authorization-server/signature-algorithms.ts'
import { faultRule, type OptionFault } from '../base/fault-rule.ts'
import { claimPath, duration, flag, oneOrMore, parsedText, size, text } from '../base/scalars.ts'

const algorithm = () =>
  parsedText(
    `one of ${signatureAlgorithmNames.join(', ')}: a shared secret or no signature at all is never accepted`,
    (given) => (isSignatureAlgorithm(given) ? given : undefined),
  )

/** A rule of its own may find values that are wrong by themselves, and leaves those to others. */
const standsAlone = (word: string) => (values: unknown) =>
  !(Array.isArray(values) && values.length > 1 && values.includes(word))

const namesNo = (meant: (value: string) => boolean) => (values: unknown) =>
  !(Array.isArray(values) && values.some((value) => typeof value === 'string' && meant(value)))

/** The `typ` headers that are accepted where nothing is said, and those of RFC 9068 alone. */
const usualTypes = ['absent', 'JWT', 'at+jwt']
const strictTypes = ['at+jwt']

/** What RFC 9068 leaves no choice in. @see https://www.rfc-editor.org/rfc/rfc9068#section-4 */
function findStrictFault({ strict, types, audience }: z.output<typeof written>): OptionFault | undefined {
  if (!strict) return undefined
  if (types) return { path: ['types'], message: 'stands beside strict, which takes at+jwt alone; keep one of them' }
  return audience.includes('any')
    ? {
        path: ['audience'],
        message: 'is any, and strict is set, for which a token must be meant for us: name the audience',
      }
    : undefined
}

const mostTolerance = 300_000

const written = z.strictObject({
  audience: oneOrMore(text())
    .refine(
      namesNo((audience) => audience === '*'),
      'is "*", which would be taken literally; the word that accepts every audience is any',
    )
    .refine(
      namesNo((audience) => audience !== 'any' && audience.trim().toLowerCase() === 'any'),
      'is "any" in other letters, which would be taken literally; the word that accepts every audience is any',
    )
    .refine(standsAlone('any'), 'has "any" beside others: it stands alone, and accepts every audience')
    .describe('the token must be meant for one of these; the word `any` accepts every token of the server'),
  issuers: oneOrMore(text())
    .refine(
      namesNo((issuer) => ['*', 'any'].includes(issuer.trim().toLowerCase())),
      'has a word for every issuer, which would be taken literally: each one is named, as its keys are what counts',
    )
    .optional()
    .describe('accepted `iss`; default is the issuer of the server'),
  strict: flag()
    .prefault(false)
    .describe('true: RFC 9068 alone: the `typ` header at+jwt, and iss, exp, aud, sub, client_id, iat and jti'),
  algorithms: oneOrMore(algorithm())
    .prefault([...signatureAlgorithmNames])
    .describe('accepted signature algorithms; default is every asymmetric one'),
  types: oneOrMore(text())
    .refine(
      namesNo((type) => ['none', '*', 'any'].includes(type.trim().toLowerCase())),
      'has a word that would be taken literally: the one for no typ header is absent, and each other type is named',
    )
    .optional()
    .describe(
      'accepted `typ` headers, in any case, with or without `application/`; the word `absent` accepts none at all; default is absent, JWT and at+jwt',
    ),
  scope_claims: oneOrMore(claimPath())
    .prefault(['scope', 'scp'])
    .describe('where the scope stands, as text or list; the first claim that is present counts'),
  client_id_claims: oneOrMore(claimPath())
    .prefault(['client_id', 'azp', 'cid', 'appid'])
    .describe('where the client stands; the first claim that is present counts'),
  client_ids: oneOrMore(text()).optional().describe('the only clients whose tokens are accepted'),
  required_claims: oneOrMore(claimPath()).optional().describe('claims that every token must have, whatever is in them'),
  max_age: duration().optional().describe('a token is accepted for so long after its iat, which it must then have'),
  clock_tolerance: duration()
    .refine(
      (tolerance) => tolerance <= mostTolerance,
      'is more than 5m, and would be a longer life for every token; set the clocks right instead',
    )
    .prefault('5s')
    .describe('by how much clocks may differ; 5m at most'),
  max_token_size: size('1MiB').prefault('16KiB'),
})

/** What makes a server's access tokens trusted. Without this block they open nothing. */
export const accessTokenOptions = written.check(faultRule(['strict', 'types', 'audience'], findStrictFault))

export type AccessTokenOptions = z.output<typeof accessTokenOptions>

/** The `typ` headers that a token may have. */
export function acceptedTypes({ strict, types = usualTypes }: AccessTokenOptions): readonly string[] {
  return strict ? strictTypes : types
}
