import { createBoundedMap } from '../base/bounded-map.ts'
import type { JsonObject } from './strict-json.ts'

/** What many tokens have in common, kept once for all that are remembered: a third of what each would take by itself. */
export interface SharedTexts {
  /** Equal claims, whose common texts are those of an earlier token. */
  claims(claims: JsonObject): JsonObject
  /** What was read from this text before, or else is read from it now. Nobody can change it. */
  scopes(text: string, read: (text: string) => readonly string[]): readonly string[]
}

/** Claims that say the same in many tokens. There may be as many clients as tokens, so that theirs are none of them. */
const commonClaims = ['iss', 'aud', 'scope']
/** Characters: so long a text is rarely another token's, too, and would make what is kept here large. */
const longestText = 200

export function createSharedTexts(): SharedTexts {
  const texts = createBoundedMap<string>()
  const lists = createBoundedMap<readonly string[]>()
  const share = (text: string) => {
    const known = texts.get(text)
    if (known === undefined) texts.set(text, text)
    return known ?? text
  }
  return {
    claims(claims) {
      const shared: Record<string, unknown> = { ...claims }
      for (const name of commonClaims) {
        const value = shared[name]
        if (typeof value === 'string' && value.length <= longestText) shared[name] = share(value)
      }
      return shared
    },
    scopes(text, read) {
      if (text.length > longestText) return read(text)
      const known = lists.get(text)
      if (known) return known
      const list = Object.freeze(read(text))
      lists.set(text, list)
      return list
    },
  }
}
