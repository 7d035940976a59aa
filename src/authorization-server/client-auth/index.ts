import { clientSecretBasic } from './client-secret-basic.ts'
import { clientSecretPost } from './client-secret-post.ts'

/** Every client authentication method that there is. A new one is a file of its own, and a line here. */
export const clientAuthMethods = [
  clientSecretBasic, // the default
  clientSecretPost,
] as const
