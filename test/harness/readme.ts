import { readFileSync } from 'node:fs'

/** The lines of a section of the README that are there to be pasted, in their order; without those of its subsections. */
export function linesOf(heading: string): string {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const [, text = ''] = readme.split(`\n${heading}\n`)
  const [own = ''] = text.split(/\n##+ /)
  return [...own.matchAll(/^( *)```sh\n(.*?)^\1```$/gms)]
    .map(([, indent = '', lines = '']) => lines.replaceAll(new RegExp(`^${indent}`, 'gm'), ''))
    .join('\n')
}

/** Of every answer that `curl -i` printed. */
export const statusesIn = (printed: string) =>
  [...printed.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status))
