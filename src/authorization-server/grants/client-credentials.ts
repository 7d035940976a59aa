import type { Grant } from './define.ts'

/** Who the client is, and nothing else. @see https://www.rfc-editor.org/rfc/rfc6749#section-4.4 */
export const clientCredentials: Grant = {
  type: 'client_credentials',
  parameters: () => [],
}
