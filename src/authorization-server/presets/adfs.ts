import { definePreset } from './define.ts'

const metadata =
  'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-oidce/586de7dd-3385-47c7-93a2-935d9e90441c'
const flows =
  'https://learn.microsoft.com/en-us/windows-server/identity/ad-fs/overview/ad-fs-openid-connect-oauth-flows-scenarios'
const tokens = 'https://learn.microsoft.com/en-us/openspecs/windows_protocols/ms-oapx/'

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
      because: 'access tokens come from the access_token_issuer, which is http://HOST/adfs/services/trust by default',
      source: metadata,
    },
    {
      of: 'access_tokens',
      key: 'client_id_claims',
      value: ['appid'],
      because: 'the client stands in appid',
      source: tokens,
    },
    {
      of: 'access_tokens',
      key: 'scope_claims',
      value: ['scp'],
      because: 'the scope is text in scp',
      source: tokens,
    },
    {
      of: ['private_key_jwt'],
      key: 'assertion_type',
      value: 'JWT',
      because: 'the certificate of a client signs a plain JWT',
      source: flows,
    },
  ],
  notes: [
    {
      text: 'which API a token is for is said by token_params: { resource: IDENTIFIER }, or by resource where the identifier is a URI; without it the token is for urn:microsoft:userinfo',
      source:
        'https://learn.microsoft.com/en-us/windows-server/identity/ad-fs/development/ad-fs-openid-connect-oauth-concepts',
    },
    {
      text: 'where the federation service has another identifier (Get-AdfsProperties: Identifier), write it in access_tokens.issuers',
      source: metadata,
    },
  ],
})
