import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { ConfigError } from '../../src/config/config-error.ts'
import { parseConfig } from '../../src/config/load.ts'

const folder = join(import.meta.dirname, 'invalid')
const env = { HOME: '/home/somebody', SCOPEGATE_TEST_EMPTY: '', HUNTER: 'hunter2' }

/** Each broken file ends with the lines that it must be answered with, each behind `#> `. */
function expectedLines(text: string): string[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('#> '))
    .map((line) => line.slice(3))
}

function lines(file: string, text: string): string[] {
  try {
    parseConfig(text, { file, env })
  } catch (error) {
    if (error instanceof ConfigError) return error.message.replaceAll(`${file}:`, '').split('\n')
    throw error
  }
  return []
}

describe('a configuration named by its mistake', () => {
  for (const name of readdirSync(folder)) {
    it(`${name} is refused, with the place and the remedy`, () => {
      const text = readFileSync(join(folder, name), 'utf8')
      const expected = expectedLines(text)
      expect(expected).not.toEqual([])
      expect(lines(join(folder, name), text)).toEqual(expected)
      expect(expected.join()).not.toContain('hunter2')
    })
  }

  it('ten faults are told at once, each with its own place', () => {
    const file = join(folder, 'ten-faults.yaml')
    const told = lines(file, readFileSync(file, 'utf8'))
    expect(told).toHaveLength(10)
    expect(new Set(told.map((line) => line.split(' ')[0])).size).toBe(10)
  })
})
