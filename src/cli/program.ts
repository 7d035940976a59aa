import { Command, Option } from 'commander'
import { version } from '../base/version.ts'
import { ConfigError } from '../config/config-error.ts'

/** The configuration file of a command: `--config`, or `SCOPEGATE_CONFIG`, or the default. */
const configOption = () =>
  new Option('-c, --config <file>', 'the configuration file').env('SCOPEGATE_CONFIG').default('config/scopegate.yaml')

/** A command is loaded when it is called: each needs much that the others do not, and that takes longer to load than to run. */
function deferred<Given extends readonly unknown[]>(load: () => Promise<(...given: Given) => void | Promise<void>>) {
  return async (...given: Given) => (await load())(...given)
}

/** The command line. Sets the exit code: 0, or 1 for what went wrong. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  const program = new Command('scopegate')
    .description(
      'An API gateway that checks the scope of what comes in, and attaches OAuth 2.0 access tokens to what goes out.',
    )
    .version(version)
    .showHelpAfterError('(scopegate --help tells what there is)')
  program
    .command('serve')
    .description('open the listeners and forward; ends on SIGTERM or Ctrl-C once the requests in flight are answered')
    .addOption(configOption())
    .action(deferred(async () => (await import('./serve.ts')).serveCommand))
  program
    .command('check')
    .description('read the configuration and print everything that is wrong with it, with file, line and column')
    .addOption(configOption())
    .option('--strict', 'take warnings, such as a secret in plain text, as errors')
    .action(deferred(async () => (await import('./check.ts')).check))
  program
    .command('token')
    .description('get a token of a client, as the gateway would, and print what it is')
    .argument('[client]', 'the name of the client in the configuration; with --route it may be left out')
    .addOption(configOption())
    .option('-s, --scope <scope>', 'the scope to ask for, instead of the client’s or route’s own; several in quotes')
    .option(
      '-r, --route <name>',
      'the token that goes out on this route: its client, scopes, audience, resource, params',
    )
    .option('--fresh', 'ask the authorization server, whatever token is shared in Redis, and share nothing')
    .option('--raw', 'print the token itself, and nothing else')
    .action(deferred(async () => (await import('./token.ts')).token))
  program
    .command('register')
    .description('register a client that has registration, or bring that up to date, and print what was granted')
    .argument('<client>', 'the name of the client in the configuration')
    .addOption(configOption())
    .option('--delete', 'delete the client at its server, and what is kept of it')
    .action(deferred(async () => (await import('./register.ts')).register))
  program
    .command('report')
    .description(
      'sum up a log: which callers were refused on which route, or would have been without report mode, and why',
    )
    .argument('<log...>', 'files with the lines that serve wrote; - is standard input')
    .option('--json', 'print it for programs')
    .action(deferred(async () => (await import('./report.ts')).report))
  program
    .command('presets')
    .description('list what `preset` knows of authorization servers, and who says so')
    .argument('[name]', 'one of them: what it sets and why, and what is left to be written')
    .action(deferred(async () => (await import('./presets.ts')).presets))
  program
    .command('schema')
    .description('print the JSON Schema of the configuration, for editors')
    .action(deferred(async () => (await import('./schema.ts')).schema))
  try {
    await program.parseAsync(argv)
  } catch (error) {
    process.stderr.write(`${error instanceof ConfigError ? error.message : `scopegate: ${(error as Error).message}`}\n`)
    process.exitCode = 1
  }
}
