import { definePreset } from './define.ts'

const metadata =
  'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-oidce/586de7dd-3385-47c7-93a2-935d9e90441c'

/** The identifier of the federation service, as it is unless somebody has changed it. */
function federationService(issuer: string): string[] | undefined {
  const [, host] = /^https:\/\/([^/]+)\/adfs$/.exec(issuer) ?? []
  return host === undefined ? undefined : [`http://${host}/adfs/services/trust`]
}

/** Active Directory Federation Services, 2016 and later. Access tokens name another issuer than its metadata does. */
export const adfs = definePreset({
  name: 'adfs',
  server: 'AD FS',
  peculiarities: [
    {
      of: 'access_tokens',
      key: 'issuers',
      value: federationService,
      because:
        'access tokens come from the access_token_issuer of its metadata, http://HOST/adfs/services/trust by default',
      source: metadata,
    },
  ],
  notes: [
    {
      text: 'where the federation service has another identifier (access_token_issuer in its metadata), write it in access_tokens.issuers',
      source: metadata,
    },
    {
      text: 'which API a token is for is said by resource (or by token_params: { resource: … }, where its identifier is no URI); without it the token is for urn:microsoft:userinfo',
      source:
        'https://learn.microsoft.com/en-us/windows-server/identity/ad-fs/development/ad-fs-openid-connect-oauth-concepts',
    },
    {
      text: 'authenticate by a secret: the assertion of its documentation names the certificate by x5t (SHA-1), which scopegate does not write',
      source:
        'https://learn.microsoft.com/en-us/windows-server/identity/ad-fs/overview/ad-fs-openid-connect-oauth-flows-scenarios',
    },
  ],
})
