import { definePreset } from './define.ts'

const flow = 'https://help.salesforce.com/s/articleView?id=xcloud.remoteaccess_oauth_client_credentials_flow.htm&type=5'
const troubleshooting =
  'https://developer.salesforce.com/docs/platform/sf-connect-dev-guide/guide/sf-connect-xorg-troubleshooting.html'
const tokens = 'https://help.salesforce.com/s/articleView?id=xcloud.jwt_access_tokens.htm&type=5'

/** Salesforce. Its answers do not say how long a token lives. */
export const salesforce = definePreset({
  name: 'salesforce',
  server: 'Salesforce',
  peculiarities: [
    {
      of: 'server',
      key: 'client_errors',
      value: ['invalid_client_id'],
      because: 'a consumer key that it does not know, or that has no such flow, is answered with invalid_client_id',
      source: troubleshooting,
    },
    {
      of: 'access_tokens',
      key: 'scope_claims',
      value: ['scp'],
      because: 'the scope of a JWT is text in scp',
      source: tokens,
    },
  ],
  notes: [
    {
      text: 'the issuer is the My Domain of the org, https://NAME.my.salesforce.com; login.salesforce.com gives no tokens for client credentials',
      source: troubleshooting,
    },
    {
      text: 'the answer has no expires_in: token_cache.default_expires_in counts, and is shorter than the session timeout of the org',
      source: flow,
    },
    {
      text: 'tokens are opaque unless the app is set to issue JWTs; access_tokens needs those',
      source: tokens,
    },
  ],
})
