import { definePreset } from './define.ts'

const claims = 'https://learn.microsoft.com/en-us/entra/identity-platform/access-token-claims-reference'
const certificates = 'https://learn.microsoft.com/en-us/entra/identity-platform/certificate-credentials'
const versions = 'https://learn.microsoft.com/en-us/entra/identity-platform/access-tokens'

/** The issuer of version 1 has its metadata at another host. */
function metadataOfVersion1(issuer: string): string | undefined {
  const [, tenant] = /^https:\/\/sts\.windows\.net\/([0-9a-f-]{36})\/$/.exec(issuer) ?? []
  return tenant && `https://login.microsoftonline.com/${tenant}/.well-known/openid-configuration`
}

/** The claim that every access token has, and no ID token. */
function claimOfTheClient(issuer: string): string[] | undefined {
  if (issuer.startsWith('https://sts.windows.net/')) return ['appid']
  return /^https:\/\/login\.microsoftonline\.com\/.*\/v2\.0$/.test(issuer) ? ['azp'] : undefined
}

/** Microsoft Entra ID, formerly Azure AD. What a program may do stands in `roles`, and not in a scope. */
export const entraId = definePreset({
  name: 'entra-id',
  server: 'Microsoft Entra ID',
  peculiarities: [
    {
      of: 'server',
      key: 'discovery_url',
      value: metadataOfVersion1,
      because:
        'the issuer of version 1, https://sts.windows.net/TENANT_ID/, has its metadata at login.microsoftonline.com',
      source: versions,
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
      of: 'access_tokens',
      key: 'required_claims',
      value: claimOfTheClient,
      because:
        'an ID token for an application that is its own API has the same aud, and the roles of its user; only an access token says which client it is of',
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
      text: 'the issuer has the id of the tenant in it, as in https://login.microsoftonline.com/TENANT_ID/v2.0; by the name of the tenant, common or organizations its metadata is found, and names another issuer',
      source: versions,
    },
    {
      text: 'which version the tokens for an API have is written in its manifest (accessTokenAcceptedVersion: 2, otherwise 1); tokens of version 1 need a server of their own here, with the issuer https://sts.windows.net/TENANT_ID/',
      source: versions,
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
