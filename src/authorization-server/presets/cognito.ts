import { definePreset } from './define.ts'

const tokens =
  'https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html'

/** Amazon Cognito user pools. An access token says which client it is of, and as a rule not for whom. */
export const cognito = definePreset({
  name: 'cognito',
  server: 'Amazon Cognito',
  peculiarities: [
    {
      of: 'access_tokens',
      key: 'client_id_claims',
      value: ['client_id'],
      because: 'the client stands in client_id',
      source: tokens,
    },
    {
      of: 'access_tokens',
      key: 'scope_claims',
      value: ['scope'],
      because: 'the scope is text in scope, as RESOURCE_SERVER/NAME',
      source: tokens,
    },
    {
      of: 'access_tokens',
      key: 'required_claims',
      value: ['token_use'],
      because: 'token_use tells an access token from an ID token, and is always there',
      source: tokens,
    },
  ],
  notes: [
    {
      text: 'as a rule there is no aud in it: write audience: any, and name the app clients that may call in client_ids',
      source: tokens,
    },
    {
      text: 'the issuer is https://cognito-idp.REGION.amazonaws.com/POOL, and the token endpoint, on the domain of the pool, is discovered from it',
      source: 'https://docs.aws.amazon.com/cognito/latest/developerguide/federation-endpoints.html',
    },
    {
      text: 'a client authenticates by client_secret_basic or client_secret_post, and by nothing else',
      source: 'https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html',
    },
  ],
})
