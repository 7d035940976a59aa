import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { findFaults } from '../global-setup.ts'
import { recordsFile } from './records.ts'
import { findLeaks } from './secrets.ts'

const secret = 'p"s&s w:rd%ü'

test.each([
  ['as it is', secret],
  ['as JSON', JSON.stringify(secret)],
  ['as a URL', encodeURIComponent(secret)],
  ['as a form', String(new URLSearchParams({ secret }))],
  ['as Base64', Buffer.from(secret).toString('base64')],
])('a secret is found %s', (_spelling, text) => {
  expect(findLeaks(`before ${text} after`, [secret])).toHaveLength(1)
  expect(findLeaks('before and after', [secret])).toEqual([])
})

test('anything that looks like a JWT is found, and the signature of a known one alone', () => {
  const token = `eyJhbGciOiJS.eyJpc3MiOiJo.${'s'.repeat(20)}`
  expect(findLeaks(`token=${token.slice(0, 30)}`, [])).toHaveLength(1)
  expect(findLeaks('s'.repeat(20), [token])).toHaveLength(1)
})

test('a run fails on a secret in its logs or its output, and on an error that nobody foresaw', () => {
  const folder = mkdtempSync(join(tmpdir(), 'scopegate-test-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  writeFileSync(recordsFile(folder, 'secrets'), `${JSON.stringify(secret)}\n`)
  writeFileSync(
    recordsFile(folder, 'logs'),
    `{"msg":"fine"}\n${JSON.stringify({ secret })}\n{"code":"internal_error"}\n`,
  )
  expect(findFaults(folder)).toHaveLength(2)
  writeFileSync(recordsFile(folder, 'output'), `error: ${secret}\n`)
  expect(findFaults(folder)).toHaveLength(3)
})
