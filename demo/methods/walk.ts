import { clientAuthMethods } from '../../src/authorization-server/client-auth/index.ts'
import type { Printer } from '../print.ts'
import { allAsTold, type Step, takeStep } from '../step.ts'
import type { MethodDemo, MethodsStage } from './stage.ts'

/** Walks through every client authentication method that the stage was set for. True if all was as told. */
export function walkMethods(stage: MethodsStage, printer: Printer): Promise<boolean> {
  return allAsTold(printer, async (check) => {
    for (const [index, demo] of stage.demos.entries()) await takeStep(stepOf(index + 1, demo, stage), printer, check)
  })
}

function stepOf(number: number, demo: MethodDemo, { gateway, credentialSeen }: MethodsStage): Step {
  const { name, clientId, seen } = demo
  return {
    heading: `${number}. ${name}`,
    say: asSentence(clientAuthMethods.find((method) => method.name === name)?.summary ?? ''),
    shown: demo.yaml,
    request: { origin: gateway.url('legacy'), path: `/${name}/countries` },
    gateway,
    expect: (answer, log) => {
      const credential = credentialSeen(clientId) ?? 'no token request'
      return [
        [answer.status === 200, 'the API answers 200'],
        [answer.body.includes(`"token_of":"${clientId}"`), `it saw a token of the client ${clientId}`],
        [log?.token === 'fetched' && credential === seen, `the authorization server saw ${credential}`],
      ]
    },
  }
}

function asSentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`
}
