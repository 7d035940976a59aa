import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findFaults } from './global-setup.ts'
import { recordsFile } from './harness/records.ts'

const secret = 'p"s&s w:rd%ü'
const pem = String(generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' }))

function createRecords() {
  const folder = mkdtempSync(join(tmpdir(), 'scopegate-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(recordsFile(folder, 'secrets'), `${JSON.stringify(secret)}\n${JSON.stringify(pem)}\n`)
  return {
    folder,
    write: (kind: 'logs' | 'output', text: string) => writeFileSync(recordsFile(folder, kind), text),
  }
}

test('a run fails on a secret in its logs or its output, and on an error that nobody foresaw', () => {
  const { folder, write } = createRecords()
  write('logs', `{"msg":"fine"}\n${JSON.stringify({ secret })}\n{"code":"internal_error"}\n`)
  expect(findFaults(folder)).toHaveLength(2)
  write('output', `error: ${secret}\n`)
  expect(findFaults(folder)).toHaveLength(3)
})

test('a run fails on a key that was printed over several lines', () => {
  const { folder, write } = createRecords()
  write('output', `fine\n${pem.replaceAll(/[\w+/]{24}/g, '$&\n')}fine\n`)
  expect(findFaults(folder)).toEqual([expect.stringContaining('over several lines')])
})
