import { clientAuthMethods } from '../authorization-server/client-auth/index.ts'
import type { Path } from './yaml-document.ts'

/**
 * For a key of a client that another authentication method has: which ones, and what this one has instead. `undefined` for
 * any other key.
 */
export function explainForeignKey(path: Path, methodOf: (client: Path) => string | undefined): string | undefined {
  const [section, name, key, ...deeper] = path
  if (section !== 'clients' || name === undefined || deeper.length > 0) return undefined
  const [usual] = clientAuthMethods
  const written = methodOf([section, name]) ?? usual.name
  const method = clientAuthMethods.find((one) => one.name === written)
  const owners = clientAuthMethods.filter(({ options }) => Object.hasOwn(options, String(key)))
  if (!method || owners.length === 0) return undefined
  // The first key of each is the credential itself.
  const [credential] = Object.keys(method.options)
  return `belongs to ${owners.map((owner) => owner.name).join(', ')}; ${method.name} has ${credential}`
}
