import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

interface Part {
  stop(): unknown
}

/** What has been started so far. */
export interface Parts {
  /** A folder of its own under the system's temporary one; gone in the end. */
  readonly folder: string
  /** Takes note of a part, to stop it in the end. */
  running<Started extends Part>(part: Started): Started
}

/** Starts all parts; `stop` ends them, the last one first. If one cannot be started, the others end as well. */
export async function startParts<All extends object>(
  startAll: (parts: Parts) => Promise<All>,
): Promise<All & { readonly folder: string; stop(): Promise<void> }> {
  const folder = mkdtempSync(join(tmpdir(), 'scopegate-demo-'))
  const parts: Part[] = [{ stop: () => rmSync(folder, { recursive: true, force: true }) }]
  const running = <Started extends Part>(part: Started): Started => {
    parts.push(part)
    return part
  }
  const stop = async () => {
    for (const part of parts.splice(0).reverse()) await part.stop()
  }
  try {
    return { ...(await startAll({ folder, running })), folder, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
