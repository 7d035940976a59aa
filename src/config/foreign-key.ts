import { clientAuthMethods } from '../authorization-server/client-auth/index.ts'
import { grantAssertionOptions } from '../authorization-server/grants/jwt-bearer.ts'
import type { Path } from './yaml-document.ts'

/**
 * For a key of a client that belongs elsewhere: in its assertion, or to other authentication methods, and what its own has
 * instead. `undefined` for any other key.
 */
export function explainForeignKey(path: Path, textAt: (path: Path) => string | undefined): string | undefined {
  const [section, name, key, ...deeper] = path
  if (section !== 'clients' || name === undefined || deeper.length > 0) return undefined
  const ofAssertion = Object.hasOwn(grantAssertionOptions.shape, String(key))
  if (ofAssertion && textAt([section, name, 'grant']) === 'jwt-bearer') return 'belongs in grant_assertion'
  const [usual] = clientAuthMethods
  const written = textAt([section, name, 'token_endpoint_auth_method']) ?? usual.name
  const method = clientAuthMethods.find((one) => one.name === written)
  const owners = clientAuthMethods.filter(({ options }) => Object.hasOwn(options, String(key)))
  if (!method || owners.length === 0) return undefined
  // The first key of each is the credential itself.
  const [credential] = Object.keys(method.options)
  return `belongs to ${owners.map((owner) => owner.name).join(', ')}; ${method.name} has ${credential}`
}
