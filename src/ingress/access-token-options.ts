import { z } from 'zod'
import { isSignatureAlgorithm, signatureAlgorithmNames } from '../authorization-server/signature-algorithms.ts'
import { claimPath, duration, oneOrMore, parsedText, size, text } from '../base/scalars.ts'

const algorithm = () =>
  parsedText(
    `one of ${signatureAlgorithmNames.join(', ')}: a shared secret or no signature at all is never accepted`,
    (given) => (isSignatureAlgorithm(given) ? given : undefined),
  )

/** A rule of its own may find values that are wrong by themselves, and leaves those to others. */
const standsAlone = (word: string) => (values: unknown) =>
  !(Array.isArray(values) && values.length > 1 && values.includes(word))

/** What makes a server's access tokens trusted. Without this block they open nothing. */
export const accessTokenOptions = z.strictObject({
  audience: oneOrMore(text())
    .refine(
      (audiences) => !(Array.isArray(audiences) && audiences.includes('*')),
      'is "*", which would be taken literally; the word that accepts every audience is any',
    )
    .refine(standsAlone('any'), 'has "any" beside others: it stands alone, and accepts every audience')
    .describe('the token must be meant for one of these; the word `any` accepts every token of the server'),
  issuers: oneOrMore(text()).optional().describe('accepted `iss`; default is the issuer of the server'),
  algorithms: oneOrMore(algorithm())
    .prefault([...signatureAlgorithmNames])
    .describe('accepted signature algorithms; default is every asymmetric one'),
  types: oneOrMore(text())
    .prefault(['absent', 'JWT', 'at+jwt'])
    .describe(
      'accepted `typ` headers, in any case, with or without `application/`; the word `absent` accepts none at all',
    ),
  scope_claims: oneOrMore(claimPath())
    .prefault(['scope', 'scp'])
    .describe('where the scope stands, as text or list; the first claim that is present counts'),
  client_id_claims: oneOrMore(claimPath())
    .prefault(['client_id', 'azp', 'cid', 'appid'])
    .describe('where the client stands; the first claim that is present counts'),
  clock_tolerance: duration().prefault('5s').describe('by how much clocks may differ'),
  max_token_size: size('1MiB').prefault('16KiB'),
})

export type AccessTokenOptions = z.output<typeof accessTokenOptions>
