import { assertionMethods, definePreset } from './define.ts'

/** Cloudentity Authorization Control Plane (ACP): each workspace of a tenant is an authorization server of its own. */
export const cloudentity = definePreset({
  name: 'cloudentity',
  server: 'Cloudentity ACP',
  peculiarities: [
    {
      of: assertionMethods,
      key: 'assertion_type',
      value: 'JWT',
      because: 'the assertion of its documentation has the typ JWT',
      source: 'https://docs.authorization.cloudentity.com/1.17.0/features/oauth/client_auth/',
    },
  ],
  notes: [
    {
      text: 'the issuer is https://HOST/TENANT/WORKSPACE, and everything else is discovered below it, the endpoints for certificates included',
      source: 'https://docs.authorization.cloudentity.com/1.17.0/features/oauth/authorization-servers/',
    },
  ],
})
