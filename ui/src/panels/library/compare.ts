import type { LibraryHit } from '../../backend'
import type { App } from '../../state/app.svelte'

/** True while the case stands beside the current study. */
export function isCompared(app: App, caseId: string): boolean {
  return app.comparison.open && app.comparison.subject?.caseId === caseId
}

/** Opens a case beside the current study; as a study of its own if none is open. Closes it if it stands there already. */
export async function compareHit(app: App, hit: LibraryHit): Promise<void> {
  if (hit.images === 0) return
  if (isCompared(app, hit.case_id)) app.comparison.close()
  else if (app.pane.seriesId === null) await app.openCase(hit.case_id)
  else
    await app.comparison.openCase({
      caseId: hit.case_id,
      source: hit.source,
      facts: hit.facts,
      samePatientAs: hit.same_patient ? (app.pane.study?.id ?? null) : null,
    })
}
