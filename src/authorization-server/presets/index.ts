import { adfs } from './adfs.ts'
import { airlockIam } from './airlock-iam.ts'
import { auth0 } from './auth0.ts'
import { cloudentity } from './cloudentity.ts'
import { cognito } from './cognito.ts'
import { entraId } from './entra-id.ts'
import { google } from './google.ts'
import { keycloak } from './keycloak.ts'
import { okta } from './okta.ts'
import { oryHydra } from './ory-hydra.ts'
import { pingfederate } from './pingfederate.ts'
import { salesforce } from './salesforce.ts'
import { springAuthorizationServer } from './spring-authorization-server.ts'

/** Every preset that there is. A new one is a file of its own, and a line here. */
export const presets = [
  adfs,
  airlockIam,
  auth0,
  cloudentity,
  cognito,
  entraId,
  google,
  keycloak,
  okta,
  oryHydra,
  pingfederate,
  salesforce,
  springAuthorizationServer,
] as const

/** The names that `preset` takes. */
export const presetNames = presets.map(({ name }) => name)
