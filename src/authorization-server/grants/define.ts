import type { AssertionReceiver } from '../signed-assertion.ts'

/** Parameters of a form, in their order. */
export type Parameters = readonly (readonly [name: string, value: string])[]

/** Where a token request goes, and when. */
export interface GrantContext extends AssertionReceiver {
  /** Milliseconds since the epoch. */
  readonly now: number
}

/** What a client shows for the token that it asks for, beside who it is. */
export interface Grant {
  /** As registered with IANA. @see https://www.iana.org/assignments/oauth-parameters/oauth-parameters.xhtml */
  readonly type: string
  /** The parameters that are its own, made anew for each attempt. */
  parameters(context: GrantContext): Parameters | Promise<Parameters>
  /** The errors beside `invalid_client` that find fault with what the client itself shows. */
  readonly credentialErrors?: readonly string[]
  /** What makes an answer to this grant no answer, beside what goes for all of them. */
  findAnswerFault?(answer: Readonly<Record<string, unknown>>): string | undefined
}
