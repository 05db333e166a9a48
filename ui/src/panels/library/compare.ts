import type { CaseFacts, LibraryHit, SimilarCase } from '../../backend'
import type { App } from '../../state/app.svelte'
import type { ComparedCase } from '../../state/comparison.svelte'

const UNKNOWN: CaseFacts = {
  modality: null,
  body_part: null,
  view: null,
  sex: null,
  age: null,
  date: null,
  split: null,
}

/** True while the case stands beside the current study. */
export function isCompared(app: App, library: ComparedCase['library'], caseId: string): boolean {
  const { open, subject } = app.comparison
  return open && subject?.library === library && subject.caseId === caseId
}

/** Opens a case beside the current study, or closes it if it stands there already. */
async function compare(app: App, subject: ComparedCase): Promise<void> {
  if (isCompared(app, subject.library, subject.caseId)) app.comparison.close()
  else await app.comparison.openCase(subject)
}

/** Opens a case beside the current study; as a study of its own if none is open. Closes it if it stands there already. */
export async function compareHit(app: App, hit: LibraryHit): Promise<void> {
  if (hit.images === 0) return
  if (app.pane.seriesId === null && !isCompared(app, 'department', hit.case_id)) await app.openCase(hit.case_id)
  else
    await compare(app, {
      library: 'department',
      caseId: hit.case_id,
      source: hit.source,
      facts: hit.facts,
      samePatientAs: hit.same_patient ? (app.pane.study?.id ?? null) : null,
    })
}

/** Opens a synthetic case beside the current study, which it was found for. Closes it if it stands there already. */
export async function compareDemo(app: App, item: SimilarCase, library: string): Promise<void> {
  await compare(app, {
    library: 'demo',
    caseId: item.case_id,
    source: library,
    facts: { ...UNKNOWN, modality: item.modality },
    samePatientAs: null,
  })
}
