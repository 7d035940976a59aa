import { assertionMethods, definePreset } from './define.ts'

/** Auth0. It gives tokens for an audience that is asked for, and its issuer ends with a slash. */
export const auth0 = definePreset({
  name: 'auth0',
  server: 'Auth0',
  peculiarities: [
    {
      of: 'access_tokens',
      key: 'client_id_claims',
      value: ['azp', 'client_id'],
      because: 'its own token profile has the client in azp, the RFC 9068 profile in client_id',
      source: 'https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles',
    },
    {
      of: 'access_tokens',
      key: 'scope_claims',
      value: ['scope'],
      because: 'the scope is text in scope',
      source: 'https://auth0.com/docs/secure/tokens/access-tokens/access-token-profiles',
    },
    {
      of: assertionMethods,
      key: 'assertion_type',
      value: 'none',
      because: 'the header of an assertion has alg and kid, and nothing else is told of',
      source:
        'https://auth0.com/docs/get-started/authentication-and-authorization-flow/authenticate-with-private-key-jwt',
    },
  ],
  notes: [
    {
      text: 'every client wants an audience, the identifier of its API, unless the tenant has a default audience',
      source:
        'https://auth0.com/docs/get-started/authentication-and-authorization-flow/client-credentials-flow/call-your-api-using-the-client-credentials-flow',
    },
    {
      text: 'the issuer ends with a slash (https://TENANT.auth0.com/), and so does the aud of an assertion',
      source:
        'https://auth0.com/docs/get-started/authentication-and-authorization-flow/authenticate-with-private-key-jwt',
    },
    {
      text: 'permissions (RBAC) are a claim: require them with claims: { permissions: […] }, or let scope_claims: [permissions] count as the scope',
      source: 'https://auth0.com/docs/get-started/apis/enable-role-based-access-control-for-apis',
    },
  ],
})
