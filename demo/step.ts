import type { Gateway, LogLine } from './gateway.ts'
import type { Printer } from './print.ts'
import { curlLine, type DemoAnswer, type DemoRequest, describeAnswer, send } from './request.ts'

/** One request of a walk, and what must come of it. */
export interface Step {
  readonly heading: string
  readonly say: string
  /** Lines to be seen before the request. */
  readonly shown?: readonly string[]
  readonly request: DemoRequest
  /** The gateway that the request passes, which then logs it. */
  readonly gateway?: Gateway
  /** What must have come back: a sentence for each thing that must hold. */
  readonly expect: (
    answer: DemoAnswer,
    log: LogLine | undefined,
  ) => readonly (readonly [holds: boolean, sentence: string])[]
}

/** Tells whether something is as told, and remembers it. */
export type Check = (holds: boolean, sentence: string) => void

/** Takes what `tour` does with a check; true if all of it was as told. */
export async function allAsTold(printer: Printer, tour: (check: Check) => Promise<void>): Promise<boolean> {
  let good = true
  await tour((holds, sentence) => {
    printer.check(holds, sentence)
    good &&= holds
  })
  return good
}

/** Sends the request of a step, and tells what came of it. */
export async function takeStep(step: Step, printer: Printer, check: Check): Promise<void> {
  const { heading, say, shown = [], request, gateway, expect } = step
  printer.heading(heading)
  printer.say(say)
  printer.answer(shown)
  printer.command(curlLine(request))
  const position = gateway?.logLength()
  const answer = await send(request)
  printer.answer(describeAnswer(answer))
  const log = await gateway?.logged((line) => line.msg === 'request', position)
  if (log) printer.answer([`gateway's log: ${describeLog(log)}`])
  for (const [holds, sentence] of expect(answer, log)) check(holds, sentence)
}

const notShown = ['level', 'time', 'msg', 'request_id', 'listener', 'address']

function describeLog(line: LogLine): string {
  return Object.entries(line)
    .filter(([name]) => !notShown.includes(name))
    .map(([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`)
    .join(' ')
}
