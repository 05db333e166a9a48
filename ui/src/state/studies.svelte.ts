import type { OpenReportDto, RejectedDto, SeriesDto, StudyDto } from '../backend'
import type { Messages } from './messages.svelte'

/** What is open. */
export class Studies {
  /** The studies that the user opened. */
  list = $state.raw<StudyDto[]>([])
  /** What the case of the library holds that stands beside one of them: a study for each of its examinations or files. */
  compared = $state.raw<StudyDto[]>([])
  /** Files that the last opening refused. */
  rejected = $state.raw<RejectedDto[]>([])
  readonly #messages: Messages

  constructor(messages: Messages) {
    this.#messages = messages
  }

  /** The study of a series. */
  of(seriesId: string | null): StudyDto | null {
    return [...this.list, ...this.compared].find((study) => study.series.some(({ id }) => id === seriesId)) ?? null
  }

  /** The series among which one steps from a series: those of the compared case, or those of all studies of the user's. */
  beside(seriesId: string | null): SeriesDto[] {
    const compared = this.compared.flatMap((study) => study.series)
    if (compared.some(({ id }) => id === seriesId)) return compared
    return this.list.flatMap((study) => study.series)
  }

  /** Adds what was opened and tells of what was not. Returns the series of studies that were open before. */
  take({ studies, rejected, cancelled }: OpenReportDto): string[] {
    const again = (old: StudyDto): boolean => studies.some((study) => study.id === old.id)
    const replaced = this.list.filter(again).flatMap((old) => old.series.map(({ id }) => id))
    this.list = [...this.list.filter((old) => !again(old)), ...studies]
    this.rejected = rejected
    const first = rejected[0]
    if (first && studies.length === 0) {
      const more = rejected.length > 1 ? ` (and ${rejected.length - 1} more)` : ''
      this.#messages.add('error', first.code, `${first.path}: ${first.message}${more}`)
    } else if (first) {
      const count = rejected.length === 1 ? 'One file was' : `${rejected.length} files were`
      this.#messages.add('warning', 'rejected', `${count} not opened; the list of studies says why.`)
    } else if (studies.length === 0 && !cancelled) {
      this.#messages.add('warning', 'nothing_found', 'No images were found there.')
    }
    return replaced
  }

  /** Takes a study from the list. Returns its series; none if it is not there. */
  remove(studyId: string): string[] | null {
    const study = this.list.find((candidate) => candidate.id === studyId)
    if (!study) return null
    this.list = this.list.filter((candidate) => candidate.id !== studyId)
    return study.series.map(({ id }) => id)
  }
}
