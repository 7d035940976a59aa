import { showFault } from './fault.ts'
import type { Printer } from './print.ts'
import { showRedis } from './redis.ts'
import type { DemoAnswer } from './request.ts'
import type { Stage } from './stage.ts'
import { allAsTold, type Step, takeStep } from './step.ts'
import { tokenRequest } from './tokens.ts'

/** Walks through both wings, and tells each step. True if all was as told. */
export function walk(stage: Stage, printer: Printer): Promise<boolean> {
  return allAsTold(printer, async (check) => {
    for (const [index, step] of [...egressSteps(stage), ...ingressSteps(stage)].entries()) {
      await takeStep({ ...step, heading: `${index + 1}. ${step.heading}` }, printer, check)
    }
    await showRedis(stage, printer, check)
    printer.heading('And a fault in the configuration is shown with its line')
    showFault(stage, printer, check)
  })
}

function egressSteps({ authorizationServer, gateway, countriesUrl, legacyUrl }: Stage): Step[] {
  const asked = () => authorizationServer.tokensAskedBy('legacy-reports')
  return [
    {
      heading: 'Egress: the API of somebody else lets nobody in without a token',
      say: 'The countries API checks tokens by itself. Asked directly, it refuses.',
      request: { origin: countriesUrl, path: '/countries' },
      expect: (answer) => [[answer.status === 401, 'no token: the API answers 401']],
    },
    {
      heading: 'A legacy call arrives with a token that it never had',
      say: 'The legacy service knows nothing of OAuth: its base URL is the gateway, which gets a token and attaches it.',
      request: { origin: legacyUrl, path: '/report' },
      gateway,
      expect: (answer, log) => [
        [answer.status === 200, 'the API answers 200'],
        [answer.body.includes('"token_of":"legacy-reports"'), 'it saw a token of the client legacy-reports'],
        [log?.token === 'fetched' && asked() === 1, 'the gateway fetched it from the authorization server'],
      ],
    },
    {
      heading: 'The second call takes the token from the cache',
      say: 'The same again, this time straight at the gateway, as the legacy service does it.',
      request: { origin: gateway.url('legacy'), path: '/countries' },
      gateway,
      expect: (answer, log) => [
        [answer.status === 200, 'the API answers 200'],
        [log?.token === 'memory' && asked() === 1, 'the authorization server was not asked again'],
      ],
    },
  ]
}

function ingressSteps({ authorizationServer, gateway, headerFiles }: Stage): Step[] {
  const origin = gateway.url('public')
  const customer = { origin, path: '/customers/42' }
  const change = { ...customer, method: 'PUT' as const }
  const challenge = (answer: DemoAnswer) => answer.headers['www-authenticate'] ?? ''
  return [
    {
      heading: 'Ingress: without a token nobody gets through to the customers service',
      say: 'The service itself checks nothing: the gateway stands in front of it.',
      request: customer,
      gateway,
      expect: (answer) => [
        [answer.status === 401, '401'],
        [/^Bearer realm=/.test(challenge(answer)), 'the challenge says that a bearer token is wanted'],
      ],
    },
    {
      heading: 'A client gets a token',
      say: `The client reader may read. (The demo did the same, and keeps its token in ${headerFiles.reader}.)`,
      request: tokenRequest(authorizationServer.url, 'reader', 'customer.read'),
      expect: (answer) => [[answer.status === 200, 'the authorization server grants customer.read']],
    },
    {
      heading: 'A forged token is refused',
      say: 'The same claims as in the real one, signed with another key.',
      request: { ...customer, headerFile: headerFiles.forged },
      gateway,
      expect: (answer) => [
        [answer.status === 401, '401'],
        [challenge(answer).includes('error="invalid_token"'), 'the challenge says invalid_token'],
      ],
    },
    {
      heading: 'A token with the scope that the route requires gets through',
      say: 'GET wants customer.read, and the reader has it.',
      request: { ...customer, headerFile: headerFiles.reader },
      gateway,
      expect: (answer) => [
        [answer.status === 200, '200'],
        [answer.body.includes('"asked_by":"reader"'), 'the service is told who asks (X-Client-Id)'],
      ],
    },
    {
      heading: 'Too little scope is refused, and the answer says what is wanted',
      say: 'PUT wants customer.write, and the reader has only customer.read.',
      request: { ...change, headerFile: headerFiles.reader },
      gateway,
      expect: (answer) => [
        [answer.status === 403, '403'],
        [
          /error="insufficient_scope".*scope="customer\.write"/.test(challenge(answer)),
          'the challenge names customer.write',
        ],
      ],
    },
    {
      heading: 'Enough scope',
      say: 'The writer has customer.write.',
      request: { ...change, headerFile: headerFiles.writer },
      gateway,
      expect: (answer) => [[answer.status === 200, '200']],
    },
    {
      heading: 'A path trick is refused',
      say: '/docs is open to everybody. This path begins there and ends elsewhere.',
      request: { origin, path: '/docs/../customers/42' },
      gateway,
      expect: (answer) => [[answer.status === 400, '400: the gateway does not guess']],
    },
  ]
}
