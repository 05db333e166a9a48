/** A backend without a shell: for development in a browser and for tests. Never part of the product's bundle. */

import type { Backend, DialogChoice, DropEvent, Unsubscribe } from '../backend'
import type { AppInfo, ComputingChoice, ComputingOverview, PackSummary } from '../types'
import { COMPUTING, HEX, PACK } from './core'
import { MockLabelling } from './labelling'

export type { MockOptions } from './core'

/** Answers like the application would, with made-up results. */
export class MockBackend extends MockLabelling implements Backend {
  /** What a dialog returns next. */
  chosen: string[] = ['demo.dcm']
  #overview: ComputingOverview = COMPUTING
  #openFiles: ((paths: string[]) => void) | undefined
  #drop: ((event: DropEvent) => void) | undefined

  /** Pretends that another start of the application passed files on. */
  passFiles(paths: string[]): void {
    this.#openFiles?.(paths)
  }

  /** Pretends that files were dropped. */
  dropFiles(paths: string[]): void {
    this.#drop?.({ kind: 'drop', paths })
  }

  async appInfo(): Promise<AppInfo> {
    this.note('appInfo')
    return {
      version: '0.1.0',
      pack: PACK,
      pack_error: null,
      demo_available: true,
      research_notice: 'Research use only – not a medical device',
      startup_paths: [],
      startup_demo: false,
      ...this.options.info,
    }
  }

  async packs(): Promise<PackSummary[]> {
    this.note('packs')
    return [PACK, { ...PACK, name: 'other', title: 'Other pack', hash: HEX, bundled: false, answers: false }]
  }

  async selectPack(name: string): Promise<PackSummary> {
    this.note('selectPack', name)
    return (await this.packs()).find((pack) => pack.name === name) ?? PACK
  }

  async computing(): Promise<ComputingOverview> {
    this.note('computing')
    return this.#overview
  }

  async computingChoose(choice: ComputingChoice): Promise<ComputingOverview> {
    this.note('computingChoose', choice.device)
    const device = choice.device === 'auto' ? 'cpu' : choice.device
    this.#overview = { ...this.#overview, choice, now: { ...this.#overview.now, device } }
    return this.#overview
  }

  /** Pretends that the device failed in the middle of something. */
  failDevice(name: string, failure: string): void {
    this.#overview = { ...this.#overview, now: { ...this.#overview.now, device: 'cuda:0', name, failure } }
  }

  async checkRawPath(bytes: number): Promise<ArrayBuffer> {
    this.note('checkRawPath')
    return Uint8Array.from({ length: bytes }, (_, i) => i % 251).buffer
  }

  async cancel(jobId: string): Promise<void> {
    this.note('cancel', jobId)
    this.cancelled.add(jobId)
  }

  async choosePaths(choice: DialogChoice): Promise<string[]> {
    this.note('choosePaths', choice)
    return this.chosen
  }

  async onOpenFiles(handler: (paths: string[]) => void): Promise<Unsubscribe> {
    this.#openFiles = handler
    return () => (this.#openFiles = undefined)
  }

  async onDrop(handler: (event: DropEvent) => void): Promise<Unsubscribe> {
    this.#drop = handler
    return () => (this.#drop = undefined)
  }
}
