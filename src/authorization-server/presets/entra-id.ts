import { definePreset } from './define.ts'

const claims = 'https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference'
const certificates = 'https://learn.microsoft.com/en-us/entra/identity-platform/certificate-credentials'

/** An API gets tokens of version 1 or 2, whichever its registration says, and each version has an issuer of its own. */
function bothIssuers(issuer: string): string[] | undefined {
  const [, tenant] =
    /^https:\/\/login\.microsoftonline\.com\/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/v2\.0$/.exec(issuer) ?? []
  return tenant === undefined ? undefined : [issuer, `https://sts.windows.net/${tenant}/`]
}

/** Microsoft Entra ID, formerly Azure AD. What a program may do stands in `roles`, and not in a scope. */
export const entraId = definePreset({
  name: 'entra-id',
  server: 'Microsoft Entra ID',
  peculiarities: [
    {
      of: 'access_tokens',
      key: 'issuers',
      value: bothIssuers,
      because: 'tokens of version 1 come from https://sts.windows.net/TENANT/, those of version 2 from the issuer',
      source: 'https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens',
    },
    {
      of: 'access_tokens',
      key: 'scope_claims',
      value: ['scp', 'roles'],
      because:
        'the scope of a user is in scp, what a program may do in roles; scp first: beside it, roles are those of the user',
      source: claims,
    },
    {
      of: 'access_tokens',
      key: 'client_id_claims',
      value: ['azp', 'appid'],
      because: 'the client is azp in version 2 and appid in version 1',
      source: claims,
    },
    {
      of: ['private_key_jwt'],
      key: 'assertion_audience',
      value: 'token_endpoint',
      because: 'the aud of an assertion is the token endpoint',
      source: certificates,
    },
    {
      of: ['private_key_jwt'],
      key: 'assertion_type',
      value: 'JWT',
      because: 'the typ of an assertion should be JWT',
      source: certificates,
    },
    {
      of: ['private_key_jwt'],
      key: 'token_endpoint_auth_signing_alg',
      value: 'PS256',
      because: 'an assertion should be signed with PS256',
      source: certificates,
    },
  ],
  notes: [
    {
      text: 'the issuer has the id of the tenant in it, as in https://login.microsoftonline.com/TENANT_ID/v2.0; its domain name, common and organizations are answered with another issuer',
      source: 'https://learn.microsoft.com/en-us/entra/identity-platform/v2-protocols-oidc',
    },
    {
      text: 'the scope of a client is the resource and /.default, as in api://CLIENT_ID_OF_THE_API/.default',
      source: 'https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-client-creds-grant-flow',
    },
    {
      text: 'a client with private_key_jwt gives its certificate too: the key is known by its x5t#S256',
      source: certificates,
    },
    { text: 'aud is the client id of the API in version 2, and in version 1 that or its api:// URI', source: claims },
  ],
})
