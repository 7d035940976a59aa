import { readLines } from './report-lines.ts'
import { createSummarizer } from './report-summary.ts'
import { reportJson, reportText } from './report-text.ts'

/**
 * Sums up the lines of logs: on which route, of which caller, and why requests were, or would have been, refused. What is no
 * log at all is a failure: a script must not take silence for safety.
 */
export async function report(logs: readonly string[], options: { readonly json?: true }): Promise<void> {
  const { summary, add } = createSummarizer()
  for (const log of logs) await readLines(log, add)
  // Whoever reads only the beginning of it has what they want.
  process.stdout.on('error', () => undefined)
  process.stdout.write(options.json ? reportJson(summary) : reportText(summary))
  if (summary.lines.requests + summary.lines.other === 0 && summary.lines.unreadable > 0) process.exitCode = 1
}
