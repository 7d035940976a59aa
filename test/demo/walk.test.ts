import { expect, onTestFinished, test } from 'vitest'
import { createPrinter } from '../../demo/print.ts'
import { setStage } from '../../demo/stage.ts'
import { walk } from '../../demo/walk.ts'

function createScreen(isTTY: boolean) {
  let text = ''
  const write = (piece: string | Uint8Array) => {
    text += piece
    return true
  }
  return { isTTY, write, text: () => text }
}

test('a step that is not as told is said to be so, and the walk is not good', async () => {
  const stage = await setStage()
  onTestFinished(stage.stop)
  const screen = createScreen(false)
  const { headerFiles } = stage
  const good = await walk(
    { ...stage, headerFiles: { ...headerFiles, writer: headerFiles.reader } },
    createPrinter(screen),
  )
  expect(good).toBe(false)
  expect(screen.text().match(/✗ not as told: .*/g)).toEqual(['✗ not as told: 200'])
})

test('there are colours on a terminal, none elsewhere, and none where NO_COLOR asks for none', () => {
  const print = (isTTY: boolean) => {
    const screen = createScreen(isTTY)
    createPrinter(screen).check(true, 'well')
    return screen.text()
  }
  const before = process.env.NO_COLOR
  onTestFinished(() => {
    if (before === undefined) delete process.env.NO_COLOR
    else process.env.NO_COLOR = before
  })
  delete process.env.NO_COLOR
  expect(print(true)).toContain('\x1b[')
  expect(print(false)).toBe('  ✓ well\n')
  process.env.NO_COLOR = '1'
  expect(print(true)).toBe('  ✓ well\n')
})
