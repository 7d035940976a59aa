import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { clientAuthMethods } from '../src/authorization-server/client-auth/index.ts'
import { setMethodsStage } from './methods/stage.ts'
import { walkMethods } from './methods/walk.ts'
import { createPrinter, type Printer } from './print.ts'
import { setStage } from './stage.ts'
import { walk } from './walk.ts'

// npm run demo: walks through both wings on real traffic, and stays up until Ctrl-C; with --once it ends after the walk.
// With --methods it walks through every client authentication method instead. With REDIS_URL, tokens are shared there.
// The exit code is 1 if anything was not as told.

const usage = 'npm run demo [-- [--once] [--methods]]'
const printer = createPrinter(process.stdout)
const given = readOptions()

function readOptions(): { readonly once?: boolean; readonly methods?: boolean } {
  try {
    return parseArgs({ options: { once: { type: 'boolean' }, methods: { type: 'boolean' } } }).values
  } catch (error) {
    printer.say(`${(error as Error).message}\nUsage: ${usage}`)
    process.exit(1)
  }
}

/** What is to be walked through, and the end of it. */
interface Tour {
  walk(printer: Printer): Promise<boolean>
  stop(): Promise<void>
}

async function startWings(): Promise<Tour> {
  const stage = await setStage(process.env.REDIS_URL)
  printer.heading(`scopegate runs with this configuration (${stage.configFile})`)
  printer.answer(readFileSync(stage.configFile, 'utf8').trimEnd().split('\n'))
  return { walk: () => walk(stage, printer), stop: stage.stop }
}

async function startMethods(): Promise<Tour> {
  const stage = await setMethodsStage(clientAuthMethods.map(({ name }) => name))
  printer.heading(`Every client authentication method, in one configuration (${stage.configFile})`)
  return { walk: () => walkMethods(stage, printer), stop: stage.stop }
}

try {
  const tour = await (given.methods ? startMethods() : startWings())
  process.once('SIGINT', tour.stop)
  process.once('SIGTERM', tour.stop)
  const good = await tour.walk(printer).finally(() => given.once && tour.stop())
  process.exitCode = good ? 0 : 1
  printer.heading(good ? 'All was as told.' : 'Something was not as told.')
  if (!given.once) {
    printer.say('Everything stays up: repeat any line from above, in the folder of the project. Ctrl-C ends it.')
  }
} catch (error) {
  process.exitCode = 1
  printer.heading(`The demo could not go on: ${(error as Error).message}`)
}
