import { assertionMethods, definePreset } from './define.ts'

const source =
  'https://github.com/spring-projects/spring-authorization-server/blob/main/oauth2-authorization-server/src/main/java/org/springframework/security/oauth2/server/authorization'

/** Spring Authorization Server. Out of the box, the audience of its tokens is the client that they were issued to. */
export const springAuthorizationServer = definePreset({
  name: 'spring-authorization-server',
  server: 'Spring Authorization Server',
  peculiarities: [
    {
      of: 'access_tokens',
      key: 'client_id_claims',
      value: ['aud'],
      because: 'the client stands in aud alone; sub is the client too, but in the tokens of users it is the user',
      source: `${source}/token/JwtGenerator.java`,
    },
    {
      of: 'access_tokens',
      key: 'scope_claims',
      value: ['scope'],
      because: 'the scope is a list in scope',
      source: `${source}/token/JwtGenerator.java`,
    },
    {
      of: assertionMethods,
      key: 'assertion_type',
      value: 'JWT',
      because: 'its decoder takes the typ JWT or none, and refuses every other',
      source: 'https://github.com/spring-projects/spring-security/issues/9900',
    },
  ],
  notes: [
    {
      text: 'audience lists the clients that may call, since aud is the client; with a token customizer that sets aud, it is that, and client_id_claims wants what the customizer writes',
      source:
        'https://docs.spring.io/spring-authorization-server/reference/guides/how-to-custom-claims-authorities.html',
    },
    {
      text: 'its application.yaml or AuthorizationServerSettings names the issuer; behind a context path (server.servlet.context-path) the path belongs to the issuer',
      source: 'https://docs.spring.io/spring-authorization-server/reference/configuration-model.html',
    },
  ],
})
