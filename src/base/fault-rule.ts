import { z } from 'zod'
import { ruleOverMap } from './scalars.ts'

/** What is wrong with the keys of a map: where, seen from the map, and why. */
export interface OptionFault {
  readonly path: readonly string[]
  readonly message: string
}

/** A rule that says by itself which key is at fault. It is asked beside every other fault, once its keys are good by themselves. */
export function faultRule<Given extends object>(
  keys: readonly string[],
  find: (given: Given) => OptionFault | undefined,
) {
  return z.core._check<Given>(
    ({ value, issues }) => {
      const fault = find(value)
      if (fault)
        issues.push({
          code: 'custom',
          input: value,
          path: [...fault.path],
          message: fault.message,
          params: ruleOverMap.params,
        })
    },
    {
      when: ({ value, issues }) =>
        ruleOverMap.when({ value }) && !issues.some(({ path }) => keys.includes(String(path?.[0]))),
    },
  )
}
