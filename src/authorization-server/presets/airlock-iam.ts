import { definePreset } from './define.ts'

/** Airlock IAM. What its tokens hold is configured there, claim by claim, so that nothing can be taken for granted. */
export const airlockIam = definePreset({
  name: 'airlock-iam',
  server: 'Airlock IAM',
  peculiarities: [],
  notes: [
    {
      text: 'the token endpoint is LOGINAPP/rest/oauth2/authorization-servers/ID/token; name it in token_endpoint',
      source: 'https://docs.airlock.com/iam/latest/index/URLs-and-endpoints.html',
    },
    {
      text: 'access tokens are opaque or JWTs with the claims that are configured; access_tokens needs iss and aud among them',
      source: 'https://docs.airlock.com/iam/latest/index/1597849731186.html',
    },
  ],
})
