import { createHash, randomUUID } from 'node:crypto'
import { z } from 'zod'
import type { RegisteredAnswer } from '../../authorization-server/registration-endpoint.ts'
import { Secret } from '../../base/secret.ts'

/** What is kept of a client that has registered itself. Times are milliseconds since the epoch. */
export interface Registration {
  /** Another one with every change. */
  readonly id: string
  /** When the client was registered; a change of it later does not count. */
  readonly registeredAt: number
  readonly changedAt: number
  /** When the secret, as it is, was given. */
  readonly secretGivenAt: number
  /** What was asked for, so that a change of it is noticed. */
  readonly asked: string
  readonly answer: RegisteredAnswer
}

/** A registration of which nobody knows what came of it: no other one follows it at once. */
export interface LostAttempt {
  readonly id: string
  readonly registeredAt: number
  readonly changedAt: number
  readonly answer?: undefined
}

export type Entry = Registration | LostAttempt

export function isRegistration(entry: Entry): entry is Registration {
  return entry.answer !== undefined
}

/** What a change leaves as it was: the secret, unless there is a new one, and how the client is managed. */
export function changed(before: Registration, answer: RegisteredAnswer, asked: string, now: number): Registration {
  const { clientSecret, secretExpiresAt, management } = before.answer
  const isNewSecret = answer.clientSecret?.read() !== clientSecret?.read()
  const isRenewed = answer.clientSecret && (isNewSecret || answer.secretExpiresAt !== secretExpiresAt)
  return {
    id: randomUUID(),
    registeredAt: before.registeredAt,
    changedAt: now,
    secretGivenAt: isRenewed ? now : before.secretGivenAt,
    asked,
    answer: {
      ...answer,
      clientSecret: answer.clientSecret ?? clientSecret,
      secretExpiresAt: answer.clientSecret === undefined ? secretExpiresAt : answer.secretExpiresAt,
      management: answer.management ?? management,
    },
  }
}

const longestMargin = 24 * 3_600_000

/** When the secret is to be replaced: a quarter of its life before its end, a day at most. `undefined` if it never ends. */
export function rotationTime({ answer, secretGivenAt }: Registration): number | undefined {
  const { secretExpiresAt: end } = answer
  // What has no life when it comes would be replaced in a loop.
  if (end === undefined || end <= secretGivenAt) return undefined
  return end - Math.min((end - secretGivenAt) / 4, longestMargin)
}

/** What tells metadata from other metadata, in whatever order its members stand. */
export function fingerprint(metadata: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(inOrder(metadata)))
    .digest('base64url')
}

function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1))
  return Object.fromEntries(entries.map(([name, member]) => [name, inOrder(member)]))
}

/** An entry as text, to be encrypted. */
export function serialiseEntry(entry: Entry): string {
  if (!isRegistration(entry)) return JSON.stringify(entry)
  const { clientSecret, management, ...answer } = entry.answer
  return JSON.stringify({
    ...entry,
    answer: {
      ...answer,
      clientSecret: clientSecret?.read(),
      management: management && { uri: management.uri, accessToken: management.accessToken.read() },
    },
  })
}

/** The entry again, or `undefined` for text that is none. */
export function parseEntry(text: string): Entry | undefined {
  const read = entryForm.safeParse(parse(text))
  if (!read.success) return undefined
  const { answer, ...entry } = read.data
  const { id, registeredAt, changedAt, secretGivenAt, asked } = entry
  if (answer === undefined) return { id, registeredAt, changedAt }
  if (secretGivenAt === undefined || asked === undefined) return undefined
  const { clientSecret, secretExpiresAt, management } = answer
  return {
    id,
    registeredAt,
    changedAt,
    secretGivenAt,
    asked,
    answer: { ...answer, clientSecret, secretExpiresAt, management },
  }
}

const secretText = z.string().transform((value) => new Secret(() => value))

const entryForm = z.object({
  id: z.string(),
  registeredAt: z.number(),
  changedAt: z.number(),
  secretGivenAt: z.number().optional(),
  asked: z.string().optional(),
  answer: z
    .object({
      clientId: z.string(),
      clientSecret: secretText.optional(),
      secretExpiresAt: z.number().optional(),
      management: z.object({ uri: z.string(), accessToken: secretText }).optional(),
      metadata: z.record(z.string(), z.unknown()),
    })
    .optional(),
})

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
