import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { checkCommand, checkYaml } from './gateway.ts'
import type { Printer } from './print.ts'
import type { Stage } from './stage.ts'
import type { Check } from './step.ts'

/** Misspells a key of the demo's configuration, and lets `scopegate check` look at it. */
export function showFault(stage: Stage, printer: Printer, check: Check): void {
  const file = join(stage.folder, 'misspelt.yaml')
  const text = readFileSync(stage.configFile, 'utf8').replace('methods:', 'method:')
  const line = text.slice(0, text.indexOf('method:')).split('\n').length
  printer.say('In a copy of the configuration, a key is misspelt.')
  printer.command(checkCommand(file, stage.environment))
  const { exitCode, printed } = checkYaml(file, text, stage.environment)
  printer.answer(printed.split('\n'))
  check(exitCode === 1, 'exit code 1: nothing would be served')
  check(
    printed.includes(`:${line}:`) && printed.includes('did you mean "methods"?'),
    `the fault is named, with its line, ${line}`,
  )
}
