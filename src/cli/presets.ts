import type { Peculiarity, Preset } from '../authorization-server/presets/define.ts'
import { presets as known } from '../authorization-server/presets/index.ts'

/** Prints every preset with what it sets and who says so; or one of them, with the reasons and what is left to be written. */
export function presets(name: string | undefined): void {
  const chosen = known.find((preset) => preset.name === name)
  if (name !== undefined && !chosen)
    throw new Error(`there is no preset ${name}; there is ${known.map((preset) => preset.name).join(', ')}`)
  const text = chosen ? describeOne(chosen) : known.map(listOne).join('\n\n')
  process.stdout.write(`${text}\n`)
}

function listOne(preset: Preset): string {
  const rows = preset.peculiarities.map((one) => `  ${settingOf(one)}\n    ${one.source}`)
  return [titleOf(preset), ...(rows.length > 0 ? rows : notesOf(preset))].join('\n')
}

function describeOne(preset: Preset): string {
  const rows = preset.peculiarities.map((one) => `  ${settingOf(one)}\n    ${one.because}\n    ${one.source}`)
  const sets = rows.length > 0 ? ['', 'it sets, unless the file has it itself:', ...rows] : []
  return [titleOf(preset), ...sets, '', 'to be known:', ...notesOf(preset)].join('\n')
}

function titleOf({ name, server }: Preset): string {
  return `${name} (${server})`
}

function notesOf({ notes }: Preset): string[] {
  return notes.map(({ text, source }) => `  ${text}\n    ${source}`)
}

/** A setting as it would stand in the file. */
export function settingOf({ of, key, value }: Peculiarity): string {
  const shown =
    typeof value === 'function' ? '(from the issuer)' : typeof value === 'string' ? value : `[${value.join(', ')}]`
  if (of === 'server') return `${key}: ${shown}`
  if (of === 'access_tokens') return `access_tokens.${key}: ${shown}`
  return `clients with ${of.join(' or ')}: ${key}: ${shown}`
}
