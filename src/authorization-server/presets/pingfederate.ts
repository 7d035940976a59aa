import { definePreset } from './define.ts'

const tokens =
  'https://docs.pingidentity.com/pingfederate/latest/administrators_reference_guide/pf_configure_json_token_management.html'

/** PingFederate. What a token holds, and whose keys sign it, is a matter of the access token manager that makes it. */
export const pingfederate = definePreset({
  name: 'pingfederate',
  server: 'PingFederate',
  peculiarities: [],
  notes: [
    {
      text: 'tokens are JWTs if the access token manager is one for JSON tokens; give it an issuer and an audience there (Issuer Claim Value, Audience Claim Value)',
      source: tokens,
    },
    {
      text: 'which access token manager makes a token is chosen by token_params: { aud: … } or access_token_manager_id',
      source: 'https://docs.pingidentity.com/pingfederate/latest/developers_reference_guide/pf_token_endpoint.html',
    },
    {
      text: 'a manager with certificates of its own publishes them at its JWKS Endpoint Path below /ext: name that in jwks_uri; with the centralized signing key they are at /pf/JWKS, which is discovered',
      source: tokens,
    },
  ],
})
