import { definePreset } from './define.ts'

/** Ory Hydra, and the Ory Network. Access tokens are opaque until that is changed. */
export const oryHydra = definePreset({
  name: 'ory-hydra',
  server: 'Ory Hydra',
  peculiarities: [
    {
      of: 'access_tokens',
      key: 'client_id_claims',
      value: ['client_id'],
      because: 'the client stands in client_id',
      source: 'https://github.com/ory/hydra/blob/master/oauth2/session.go',
    },
    {
      of: ['private_key_jwt'],
      key: 'assertion_audience',
      value: 'token_endpoint',
      because: 'the aud of an assertion must be the token endpoint',
      source: 'https://github.com/ory/hydra/blob/master/fosite/client_authentication.go',
    },
  ],
  notes: [
    {
      text: 'tokens are opaque until strategies.access_token is jwt, for all clients or for one; access_tokens needs JWTs',
      source: 'https://www.ory.com/docs/oauth2-oidc/jwt-access-token',
    },
    {
      text: 'the scope is a list in scp, or text in scope where strategies.jwt.scope_claim says so: both are found',
      source: 'https://github.com/ory/hydra/blob/master/fosite/token/jwt/claims_jwt.go',
    },
    {
      text: 'a client names the audience that it is registered for in audience, or its tokens are for nobody',
      source: 'https://www.ory.com/docs/hydra/guides/audiences',
    },
    {
      text: 'client_secret_jwt is not supported there',
      source: 'https://github.com/ory/hydra/blob/master/fosite/client_authentication.go',
    },
  ],
})
