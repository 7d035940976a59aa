import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { renderJsonSchema, renderReadme } from '../scripts/docs.ts'

const read = (path: string) => readFileSync(new URL(`../${path}`, import.meta.url), 'utf8')

it('the reference in the README is what the code says (npm run docs writes it)', () => {
  expect(read('README.md')).toBe(renderReadme(read('README.md')))
})

it('the JSON Schema beside the example is what the code says (npm run docs writes it)', () => {
  expect(read('config/scopegate.schema.json')).toBe(renderJsonSchema())
})
