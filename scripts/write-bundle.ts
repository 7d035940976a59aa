import { fileURLToPath } from 'node:url'
import { bundleProgram } from './bundle.ts'

await bundleProgram(fileURLToPath(new URL('../dist', import.meta.url)))
