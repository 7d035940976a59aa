import { definePreset } from './define.ts'

const source = 'https://github.com/keycloak/keycloak/blob/main/services/src/main/java/org/keycloak'

/** Keycloak. Its tokens carry the client in `azp`, and it calls a wrong secret by another name than the RFC does. */
export const keycloak = definePreset({
  name: 'keycloak',
  server: 'Keycloak',
  peculiarities: [
    {
      of: 'server',
      key: 'client_errors',
      value: ['unauthorized_client'],
      because: 'a wrong secret, or an assertion whose signature is wrong, is answered with unauthorized_client',
      source: `${source}/authentication/authenticators/client/ClientIdAndSecretAuthenticator.java`,
    },
    {
      of: 'access_tokens',
      key: 'client_id_claims',
      value: ['azp'],
      because: 'azp is the client in every token; client_id is written by a mapper that a client may lack or change',
      source: `${source}/protocol/oidc/TokenManager.java`,
    },
    {
      of: 'access_tokens',
      key: 'scope_claims',
      value: ['scope'],
      because: 'the scope is text in scope',
      source: `${source}/protocol/oidc/TokenManager.java`,
    },
  ],
  notes: [
    {
      text: 'aud is account, or not there, until an audience mapper adds yours to a client scope',
      source: 'https://www.keycloak.org/docs/latest/server_admin/index.html#audience-support',
    },
    {
      text: 'roles are claims: require them with claims: { "realm_access.roles": […] }, or "resource_access.CLIENT.roles"',
      source: 'https://www.keycloak.org/docs/latest/server_admin/index.html#_oidc_token_role_mappings',
    },
    {
      text: 'an assertion for one audience alone, each with a jti of its own, is what scopegate sends: nothing is to be set for it',
      source: `${source}/authentication/authenticators/client/AbstractBaseJWTValidator.java`,
    },
  ],
})
