import { definePreset } from './define.ts'

const validation = 'https://developers.google.com/identity/gsi/web/guides/verify-google-id-token'

/** Google writes its issuer in two ways. Of no other issuer does that follow. */
function bothSpellings(issuer: string): string[] | undefined {
  return issuer === 'https://accounts.google.com' ? [issuer, 'accounts.google.com'] : undefined
}

/** Google, for the tokens by which its services and service accounts call others. */
export const google = definePreset({
  name: 'google',
  server: 'Google',
  peculiarities: [
    {
      of: 'access_tokens',
      key: 'issuers',
      value: bothSpellings,
      because: 'iss is accounts.google.com, with https:// or without',
      source: validation,
    },
  ],
  notes: [
    {
      text: 'whoever has a Google account can have a token for any audience: name who may call, with claims: { email: […] } and email_verified',
      source:
        'https://cloud.google.com/iam/docs/reference/credentials/rest/v1/projects.serviceAccounts/generateIdToken',
    },
    {
      text: "tokens for Google's own APIs are given for a signed JWT: the client has grant: jwt-bearer, and the server token_endpoint: https://oauth2.googleapis.com/token, with no preset",
      source: 'https://developers.google.com/identity/protocols/oauth2/service-account',
    },
  ],
})
