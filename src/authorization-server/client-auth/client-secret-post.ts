import { ClientSecretPost } from 'oauth4webapi'
import { secret } from '../../base/scalars.ts'
import { defineClientAuthMethod } from './define.ts'

/** Id and secret as parameters of the form. @see https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1 */
export const clientSecretPost = defineClientAuthMethod({
  name: 'client_secret_post',
  summary: 'id and secret as parameters of the form',
  options: { client_secret: secret().describe("the client's secret") },
  create({ client_secret: clientSecret }) {
    return {
      identify: () => clientSecret.recent(),
      secret: clientSecret,
      authenticate: (server, client, body, headers) =>
        ClientSecretPost(clientSecret.read())(server, client, body, headers),
    }
  },
})
