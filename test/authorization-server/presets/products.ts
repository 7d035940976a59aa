import type { presets } from '../../../src/authorization-server/presets/index.ts'
import type { Members } from '../../harness/tokens.ts'

/** A server as its documentation shows it: what it publishes, what it answers, what stands in its tokens. */
export interface Product {
  /** Its issuer, where the server itself is at the origin. */
  issuer(origin: string): string
  /** Where its metadata is; nowhere, if it has none. */
  readonly discovery?: string
  readonly tokenPath: string
  readonly jwksPath?: string
  /** What its metadata says beside the issuer and these endpoints. */
  readonly metadata?: Members
  /** What the operator writes of it beside `preset` and `issuer`. */
  readonly written?: (origin: string) => string
  /** How it answers a client that it knows; without it, it has no client credentials grant. */
  readonly answer?: { readonly scope: string; readonly body: Members }
  /** How it answers a wrong credential. */
  readonly refusal?: { readonly status: number; readonly body: Members }
  /** An access token for this audience; without it, its tokens are not looked into. */
  readonly token?: {
    readonly audience: string
    readonly header?: Members
    readonly claims: Members
    readonly client: string | undefined
    readonly scopes: string
    /** What makes it no access token any more, or none of this server. */
    readonly otherwise?: Members
  }
  /** What it wants of an assertion; `aud` as a path at the origin, or the issuer. */
  readonly assertion?: { readonly header: Members; readonly aud: 'issuer' | 'token endpoint' }
}

const bearer = { token_type: 'Bearer', expires_in: 3600 }
const secondsAgo = (seconds: number) => Math.floor(Date.now() / 1000) - seconds

/** For every preset; a new one without an entry here is an error of the compiler. */
export const products: Record<(typeof presets)[number]['name'], Product> = {
  adfs: {
    issuer: () => 'https://adfs.contoso.test/adfs',
    discovery: '/adfs/.well-known/openid-configuration',
    tokenPath: '/adfs/oauth2/token/',
    jwksPath: '/adfs/discovery/keys',
    metadata: { access_token_issuer: 'http://adfs.contoso.test/adfs/services/trust', capabilities: [] },
    answer: { scope: 'openid', body: { token_type: 'bearer', expires_in: 3600 } },
    refusal: {
      status: 401,
      body: { error: 'invalid_client', error_description: 'MSIS9622: Client authentication failed.' },
    },
    token: {
      audience: 'https://todo.contoso.test/',
      header: { typ: 'JWT', x5t: 'qN8ENOO1h0LwxMiAZny00jNpI1o' },
      claims: {
        iss: 'http://adfs.contoso.test/adfs/services/trust',
        apptype: 'Confidential',
        appid: '535fb089-9ff3-47b6-9bfb-4f1264799865',
        auth_time: '2026-05-27T07:02:58.916Z',
        ver: '1.0',
        scp: 'todo.read',
      },
      client: '535fb089-9ff3-47b6-9bfb-4f1264799865',
      scopes: 'todo.read',
      // An ID token has the issuer of the metadata.
      otherwise: { iss: 'https://adfs.contoso.test/adfs' },
    },
  },
  'airlock-iam': {
    issuer: (origin) => `${origin}/auth-login`,
    tokenPath: '/auth-login/rest/oauth2/authorization-servers/myAS/token',
    written: (origin) => `token_endpoint: "${origin}/auth-login/rest/oauth2/authorization-servers/myAS/token"`,
    answer: { scope: 'client-scope', body: { ...bearer, scope: 'client-scope', expires_in: 18_000 } },
    refusal: { status: 401, body: { error: 'invalid_client' } },
  },
  auth0: {
    issuer: (origin) => `${origin}/`,
    discovery: '/.well-known/openid-configuration',
    tokenPath: '/oauth/token',
    jwksPath: '/.well-known/jwks.json',
    answer: { scope: 'read:todos', body: { ...bearer, scope: 'read:todos', expires_in: 86_400 } },
    token: {
      audience: 'https://todo.example.test/api',
      header: { typ: 'JWT' },
      claims: {
        sub: 'Zk3mPq7RtXw2Yb9Lc4@clients',
        azp: 'Zk3mPq7RtXw2Yb9Lc4',
        gty: 'client-credentials',
        scope: 'read:todos write:todos',
        permissions: ['read:todos', 'write:todos', 'delete:todos'],
      },
      client: 'Zk3mPq7RtXw2Yb9Lc4',
      scopes: 'read:todos write:todos',
    },
    assertion: { header: { alg: 'RS256', kid: 'k1' }, aud: 'issuer' },
  },
  cloudentity: {
    issuer: (origin) => `${origin}/acme/payments`,
    discovery: '/acme/payments/.well-known/openid-configuration',
    tokenPath: '/acme/payments/oauth2/token',
    jwksPath: '/acme/payments/.well-known/jwks.json',
    answer: { scope: 'introspect_tokens', body: { ...bearer, scope: 'introspect_tokens revoke_tokens' } },
    refusal: { status: 401, body: { error: 'invalid_client' } },
    assertion: { header: { alg: 'RS256', typ: 'JWT', kid: 'k1' }, aud: 'issuer' },
  },
  cognito: {
    issuer: (origin) => `${origin}/us-west-2_example`,
    discovery: '/us-west-2_example/.well-known/openid-configuration',
    tokenPath: '/oauth2/token',
    jwksPath: '/us-west-2_example/.well-known/jwks.json',
    answer: { scope: 'solar-system-data/asteroids.add', body: bearer },
    refusal: { status: 400, body: { error: 'invalid_client' } },
    token: {
      audience: 'any',
      claims: {
        sub: '1example23456789',
        token_use: 'access',
        scope: 'solar-system-data/asteroids.add',
        auth_time: secondsAgo(10),
        version: 2,
        client_id: '1example23456789',
      },
      client: '1example23456789',
      scopes: 'solar-system-data/asteroids.add',
      otherwise: { token_use: undefined },
    },
  },
  'entra-id': {
    issuer: () => 'https://login.microsoftonline.com/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0',
    discovery: '/aaaabbbb-0000-cccc-1111-dddd2222eeee/v2.0/.well-known/openid-configuration',
    tokenPath: '/aaaabbbb-0000-cccc-1111-dddd2222eeee/oauth2/v2.0/token',
    jwksPath: '/aaaabbbb-0000-cccc-1111-dddd2222eeee/discovery/v2.0/keys',
    answer: {
      scope: 'https://graph.microsoft.com/.default',
      body: { token_type: 'Bearer', expires_in: 3599, ext_expires_in: 3599 },
    },
    refusal: {
      status: 401,
      body: {
        error: 'invalid_client',
        error_description: 'AADSTS7000215: Invalid client secret provided.',
        error_codes: [7_000_215],
        trace_id: '0000aaaa-11bb-cccc-dd22-eeeeee333333',
      },
    },
    token: {
      audience: '6e74172b-be56-4843-9ff4-e66a39bb12e3',
      header: { typ: 'JWT' },
      claims: {
        azp: '11112222-bbbb-3333-cccc-4444dddd5555',
        azpacr: '1',
        roles: ['Orders.Read.All'],
        tid: 'aaaabbbb-0000-cccc-1111-dddd2222eeee',
        ver: '2.0',
      },
      client: '11112222-bbbb-3333-cccc-4444dddd5555',
      scopes: 'Orders.Read.All',
      // An ID token of somebody with that role.
      otherwise: { azp: undefined, azpacr: undefined, name: 'Somebody' },
    },
    assertion: { header: { alg: 'PS256', typ: 'JWT', kid: 'k1' }, aud: 'token endpoint' },
  },
  google: {
    issuer: () => 'https://accounts.google.com',
    discovery: '/.well-known/openid-configuration',
    tokenPath: '/token',
    jwksPath: '/oauth2/v3/certs',
    token: {
      audience: 'https://orders.example.test',
      header: { typ: 'JWT' },
      claims: {
        iss: 'accounts.google.com',
        azp: '104029292853099978293',
        sub: '104029292853099978293',
        email: 'caller@project.iam.gserviceaccount.test',
        email_verified: true,
        scope: 'orders',
      },
      client: '104029292853099978293',
      scopes: 'orders',
      otherwise: { iss: 'http://accounts.google.com' },
    },
  },
  keycloak: {
    issuer: (origin) => `${origin}/realms/sivalabs`,
    discovery: '/realms/sivalabs/.well-known/openid-configuration',
    tokenPath: '/realms/sivalabs/protocol/openid-connect/token',
    jwksPath: '/realms/sivalabs/protocol/openid-connect/certs',
    answer: {
      scope: 'email profile',
      body: {
        token_type: 'Bearer',
        expires_in: 300,
        refresh_expires_in: 0,
        'not-before-policy': 0,
        scope: 'email profile',
      },
    },
    refusal: {
      status: 401,
      body: { error: 'unauthorized_client', error_description: 'Invalid client or Invalid client credentials' },
    },
    token: {
      audience: 'account',
      header: { typ: 'JWT' },
      claims: {
        typ: 'Bearer',
        azp: 'archival-service',
        acr: '1',
        realm_access: { roles: ['offline_access'] },
        scope: 'email profile',
        // A mapper may write anything there.
        client_id: 'somebody-else',
      },
      client: 'archival-service',
      scopes: 'email profile',
      otherwise: { typ: 'Refresh' },
    },
  },
  okta: {
    issuer: (origin) => `${origin}/oauth2/default`,
    discovery: '/oauth2/default/.well-known/openid-configuration',
    tokenPath: '/oauth2/default/v1/token',
    jwksPath: '/oauth2/default/v1/keys',
    answer: { scope: 'customScope', body: { ...bearer, scope: 'customScope' } },
    refusal: {
      status: 401,
      body: {
        error: 'invalid_client',
        error_description: 'The client secret supplied for a confidential client is invalid.',
      },
    },
    token: {
      audience: 'api://default',
      claims: { ver: 1, cid: '0oabv6kx4qq6h1U5l0h7', scp: ['customScope'], sub: '0oabv6kx4qq6h1U5l0h7' },
      client: '0oabv6kx4qq6h1U5l0h7',
      scopes: 'customScope',
    },
    assertion: { header: { alg: 'RS256', typ: 'JWT', kid: 'k1' }, aud: 'token endpoint' },
  },
  'ory-hydra': {
    issuer: (origin) => origin,
    discovery: '/.well-known/openid-configuration',
    tokenPath: '/oauth2/token',
    jwksPath: '/.well-known/jwks.json',
    answer: { scope: 'foo', body: { token_type: 'bearer', expires_in: 3599, scope: 'foo' } },
    refusal: {
      status: 401,
      body: { error: 'invalid_client', error_description: 'Client authentication failed (e.g., unknown client).' },
    },
    token: {
      audience: 'https://api.my-cloud.test/user',
      header: { typ: 'JWT' },
      claims: { aud: ['https://api.my-cloud.test/user'], client_id: 'my-client', ext: {}, scp: ['foo', 'bar'] },
      client: 'my-client',
      scopes: 'foo bar',
    },
    assertion: { header: { alg: 'RS256', typ: 'client-authentication+jwt', kid: 'k1' }, aud: 'token endpoint' },
  },
  pingfederate: {
    issuer: (origin) => origin,
    discovery: '/.well-known/openid-configuration',
    tokenPath: '/as/token.oauth2',
    jwksPath: '/pf/JWKS',
    answer: { scope: 'edit', body: { token_type: 'Bearer', expires_in: 7199 } },
    refusal: {
      status: 401,
      body: { error: 'invalid_client', error_description: 'Invalid client or client credentials.' },
    },
    token: {
      audience: 'https://orders.example.test',
      claims: { client_id: 'im_client', scope: ['edit', 'admin'] },
      client: 'im_client',
      scopes: 'edit admin',
    },
  },
  salesforce: {
    issuer: (origin) => origin,
    discovery: '/.well-known/openid-configuration',
    tokenPath: '/services/oauth2/token',
    jwksPath: '/id/keys',
    answer: {
      scope: 'api',
      body: {
        signature: 'c2lnbmF0dXJl',
        scope: 'cdp_query_api api',
        instance_url: 'https://name.my.salesforce.test',
        id: 'https://name.my.salesforce.test/id/00fdg000000dfgfgs/00gfd000000fsdghjr',
        token_type: 'Bearer',
        issued_at: '4564564565767',
      },
    },
    refusal: {
      status: 400,
      body: { error: 'invalid_client_id', error_description: 'client identifier invalid' },
    },
    token: {
      audience: 'https://name.my.salesforce.test',
      header: { typ: 'JWT', tty: 'sfdc-core-token', tnk: 'core/prod/00D', ver: '1.0' },
      claims: { aud: ['https://name.my.salesforce.test'], client_id: '3MVG9', scp: 'api openid', sfi: 'x' },
      client: '3MVG9',
      scopes: 'api openid',
    },
  },
  'spring-authorization-server': {
    issuer: (origin) => `${origin}/ms-auth-server`,
    discovery: '/ms-auth-server/.well-known/openid-configuration',
    tokenPath: '/ms-auth-server/oauth2/token',
    jwksPath: '/ms-auth-server/oauth2/jwks',
    answer: {
      scope: 'country.read customer.read',
      body: { token_type: 'Bearer', expires_in: 14_399, scope: 'customer.read country.read' },
    },
    refusal: { status: 401, body: { error: 'invalid_client' } },
    token: {
      audience: 'service-client-jwt',
      claims: { sub: 'somebody', nbf: secondsAgo(1), scope: ['customer.read', 'country.read'] },
      client: 'service-client-jwt',
      scopes: 'customer.read country.read',
    },
    assertion: { header: { alg: 'RS256', typ: 'JWT', kid: 'k1' }, aud: 'issuer' },
  },
}
