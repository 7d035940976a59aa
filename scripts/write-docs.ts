import { readFileSync, writeFileSync } from 'node:fs'
import { renderJsonSchema, renderReadme } from './docs.ts'

const root = new URL('../', import.meta.url)
const readme = new URL('README.md', root)
writeFileSync(readme, renderReadme(readFileSync(readme, 'utf8')))
writeFileSync(new URL('config/scopegate.schema.json', root), renderJsonSchema())
