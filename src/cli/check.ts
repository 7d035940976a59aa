import { formatFault } from '../config/config-error.ts'
import { loadConfig } from '../config/load.ts'

/** Prints each fault as `file:line:column: path: message`, warnings included; with `strict` warnings are faults too, and notes never. */
export function check(options: { readonly config: string; readonly strict?: true }): void {
  const config = loadConfig(options.config)
  for (const warning of config.warnings) {
    const path = options.strict ? warning.path : `warning: ${warning.path}`
    process.stderr.write(`${formatFault(config.file, { ...warning, path })}\n`)
  }
  for (const note of config.notes)
    process.stderr.write(`${formatFault(config.file, { ...note, path: `note: ${note.path}` })}\n`)
  if (options.strict && config.warnings.length > 0) {
    process.exitCode = 1
    return
  }
  const counts = [
    count(config.routes.length, 'route'),
    count(Object.keys(config.listeners).length, 'listener'),
    count(Object.keys(config.authorization_servers).length, 'authorization server'),
    count(Object.keys(config.clients).length, 'client'),
    ...(config.included.length > 0 ? [count(config.included.length, 'included file')] : []),
  ]
  process.stdout.write(`${config.file}: good (${counts.join(', ')})\n`)
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`
}
