import { oneOf, secret } from '../../base/scalars.ts'
import { defineClientAuthMethod } from './define.ts'

/**
 * HTTP Basic. RFC 6749 has id and secret form-encoded first; some servers, older than it or simpler, take them as they are.
 * @see https://www.rfc-editor.org/rfc/rfc6749#section-2.3.1
 */
export const clientSecretBasic = defineClientAuthMethod({
  name: 'client_secret_basic',
  summary: 'HTTP Basic with id and secret; the default',
  options: {
    client_secret: secret().describe("the client's secret"),
    basic_encoding: oneOf('rfc6749', 'raw')
      .prefault('rfc6749')
      .describe('whether id and secret are form-encoded before Base64 (RFC 6749) or taken as they are'),
  },
  create({ client_secret: clientSecret, basic_encoding: encoding }) {
    return {
      identify: () => clientSecret.recent(),
      secret: clientSecret,
      authenticate(_server, client, _body, headers) {
        const encode = encoding === 'rfc6749' ? formEncode : (text: string) => text
        const credentials = `${encode(client.client_id)}:${encode(clientSecret.read())}`
        headers.set('authorization', `Basic ${Buffer.from(credentials).toString('base64')}`)
      },
    }
  },
})

/**
 * As a browser encodes a form. The library's own method goes further and encodes `-`, `_` and `.` too, which nobody
 * needs, and servers that decode nothing refuse.
 * @see https://www.rfc-editor.org/rfc/rfc6749#appendix-B
 */
function formEncode(text: string): string {
  return new URLSearchParams([['', text]]).toString().slice(1)
}
