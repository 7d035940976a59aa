import { readFileSync } from 'node:fs'
import { createPrinter } from './print.ts'
import { setStage } from './stage.ts'
import { walk } from './walk.ts'

// npm run demo: walks through both wings on real traffic, and stays up until Ctrl-C; with --once it ends after the walk.
// The exit code is 1 if anything was not as told.

const printer = createPrinter(process.stdout)
try {
  const stage = await setStage(process.env.REDIS_URL)
  process.once('SIGINT', stage.stop)
  process.once('SIGTERM', stage.stop)
  printer.heading(`scopegate runs with this configuration (${stage.configFile})`)
  printer.answer(readFileSync(stage.configFile, 'utf8').trimEnd().split('\n'))
  const good = await walk(stage, printer).finally(() => process.argv.includes('--once') && stage.stop())
  process.exitCode = good ? 0 : 1
  printer.heading(good ? 'All was as told.' : 'Something was not as told.')
  if (!process.argv.includes('--once')) {
    printer.say('Everything stays up: repeat any line from above, in the folder of the project. Ctrl-C ends it.')
  }
} catch (error) {
  process.exitCode = 1
  printer.heading(`The demo could not go on: ${(error as Error).message}`)
}
