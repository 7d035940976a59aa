import { assertionMethods, definePreset } from './define.ts'

const assertions = 'https://developer.okta.com/docs/guides/build-self-signed-jwt/js/main/'
const tokens = 'https://developer.okta.com/docs/api/openapi/okta-oauth/guides/overview/'

/** Okta. Its custom authorization servers issue tokens for APIs of one's own; the org server only for Okta's. */
export const okta = definePreset({
  name: 'okta',
  server: 'Okta',
  peculiarities: [
    {
      of: 'access_tokens',
      key: 'scope_claims',
      value: ['scp'],
      because: 'the scope is a list in scp',
      source: tokens,
    },
    {
      of: 'access_tokens',
      key: 'client_id_claims',
      value: ['cid'],
      because: 'the client stands in cid',
      source: tokens,
    },
    {
      of: assertionMethods,
      key: 'assertion_audience',
      value: 'token_endpoint',
      because: 'the aud of an assertion is the full URL that it is sent to',
      source: assertions,
    },
    {
      of: assertionMethods,
      key: 'assertion_type',
      value: 'JWT',
      because: 'the typ of the assertion that its documentation builds is JWT',
      source: assertions,
    },
  ],
  notes: [
    {
      text: 'the issuer of a custom authorization server is https://DOMAIN/oauth2/ID (the first one is called default)',
      source: 'https://developer.okta.com/docs/concepts/auth-servers/',
    },
    {
      text: 'a client asks for at least one custom scope',
      source: 'https://developer.okta.com/docs/guides/implement-client-creds/',
    },
    {
      text: "the org authorization server (https://DOMAIN) gives a program tokens for Okta's own APIs alone, wants private_key_jwt, and DPoP unless the application has that turned off",
      source: 'https://developer.okta.com/docs/guides/implement-oauth-for-okta-serviceapp/main/',
    },
  ],
})
