import { None } from 'oauth4webapi'
import { flag } from '../../base/scalars.ts'
import { defineClientAuthMethod } from './define.ts'

/** No authentication: whoever knows the client's name gets its tokens. @see https://www.rfc-editor.org/rfc/rfc6749#section-4.4 */
export const none = defineClientAuthMethod({
  name: 'none',
  summary: 'no authentication at all, which RFC 6749 section 4.4 forbids for this grant; for servers that want it so',
  options: {
    allow_unauthenticated_client: flag().optional().describe('true: the client is let go without authentication'),
  },
  findFault({ allow_unauthenticated_client: allowed }) {
    if (allowed === true) return undefined
    const message =
      'is none, which RFC 6749 section 4.4 forbids for client credentials: whoever knows the client_id would get its tokens; if the server really wants it, write allow_unauthenticated_client: true'
    return { path: ['token_endpoint_auth_method'], message }
  },
  // What shows something else than its name, as by an assertion, has none to say.
  create: ({ allow_unauthenticated_client: allowed }) =>
    allowed ? { identify: () => 'none', authenticate: None() } : { identify: () => 'nothing', authenticate: () => {} },
})
