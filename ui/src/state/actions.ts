/** Everything that can be done from the keyboard or the toolbar, in one list. */

import { turned, TURNS, type View, zoomedAt, zoomOf } from '../viewer/geometry'
import { panned } from '../viewer/tools/pan'
import { windowDragged } from '../viewer/tools/window'
import type { App, LeftTool, Tab } from './app.svelte'

/** Parts of the list of shortcuts. */
export type Group = 'File' | 'Image' | 'View' | 'Grey levels' | 'Left mouse button' | 'Assistant' | 'Library' | 'Window'

/** One thing that can be done. */
export interface Action {
  id: string
  label: string
  group: Group
  /** Names of strokes, see `strokeName`. */
  keys: string[]
  run: (app: App) => void
}

/** CSS pixels that a stroke of an arrow key moves. */
const STEP = 32

function withView(app: App, change: (view: View, zoom: number) => View): void {
  const { frame, look } = app.active
  if (!frame) return
  const size = { width: frame.info.columns, height: frame.info.rows }
  const zoom = zoomOf(look.view, size, frame.info.pixel_aspect, app.active.viewport)
  app.active.setView(change(look.view, zoom))
}

function nudgeWindow(app: App, x: number, y: number): void {
  const { window } = app.active
  if (window) app.active.setGrey({ kind: 'window', window: windowDragged(window, { x, y }) })
}

const pan = (x: number, y: number) => (app: App) =>
  withView(app, (view, zoom) => panned(view, zoom, { x: x * STEP, y: y * STEP }))
const zoom = (factor: number) => (app: App) => withView(app, (view, now) => zoomedAt(view, now, factor, { x: 0, y: 0 }))
const turn = (which: keyof typeof TURNS) => (app: App) => withView(app, (view) => turned(view, TURNS[which]))
const tool = (which: LeftTool) => (app: App) => {
  app.leftTool = which
}
const tab = (which: Tab) => (app: App) => {
  app.tab = which
  document.getElementById(`tab-${which}`)?.focus()
}

/** Puts the keyboard into the search field, or where cases can be imported if there are none. */
function focusSearch(app: App): void {
  app.tab = 'similar'
  if (app.library.stocked) app.library.chosen = 'department'
  setTimeout(() => {
    const field =
      document.getElementById('library-search') ?? document.querySelector<HTMLElement>('[data-testid="open-import"]')
    field?.focus()
    if (field instanceof HTMLInputElement) field.select()
  })
}

/** Leaves the comparison; without one stops the newest job. */
function stop(app: App): void {
  if (app.comparison.open) app.comparison.close()
  else app.jobs.cancelNewest()
}

/** Keys go to the other of two viewports. */
function switchViewport(app: App): void {
  if (app.comparison.open) app.comparison.active = !app.comparison.active
}

/** Puts the keyboard into the question field. */
function focusQuestion(app: App): void {
  app.tab = 'ask'
  // The panel appears with the next round of drawing.
  setTimeout(() => document.getElementById('question')?.focus())
}

/** One image pixel is one pixel of the screen. */
function actualPixels(app: App): void {
  withView(app, (view, now) => zoomedAt(view, now, 1 / (devicePixelRatio * now), { x: 0, y: 0 }))
}

/** Zooms out or in so far that the whole image is visible, upright or not. */
function fit(app: App): void {
  withView(app, (view) => ({ ...view, zoom: 'fit', pan: { x: 0, y: 0 } }))
}

const presets: Action[] = [1, 2, 3, 4, 5].map((number) => ({
  id: `preset-${number}`,
  label: `Preset ${number}`,
  group: 'Grey levels',
  keys: [String(number)],
  run: (app) => app.active.applyPreset(number - 1),
}))

const hints: Action[] = [1, 2, 3, 4, 5].map((number) => ({
  id: `hint-${number}`,
  label: `Ask suggested question ${number}`,
  group: 'Assistant',
  keys: [`Ctrl+${number}`],
  run: (app) => {
    app.tab = 'ask'
    void app.evidence.askHint(number - 1)
  },
}))

/** All actions. */
export const ACTIONS: Action[] = [
  { id: 'open-files', label: 'Open files', group: 'File', keys: ['Ctrl+o'], run: (app) => void app.choose('files') },
  {
    id: 'open-folder',
    label: 'Open folder',
    group: 'File',
    keys: ['Ctrl+Shift+o'],
    run: (app) => void app.choose('folder'),
  },
  { id: 'open-demo', label: 'Open demo study', group: 'File', keys: ['d'], run: (app) => void app.openDemo() },
  {
    id: 'close',
    label: 'Close study',
    group: 'File',
    keys: ['Ctrl+w'],
    run: (app) => {
      if (app.active !== app.pane) app.comparison.close()
      else if (app.pane.study) void app.close(app.pane.study.id)
    },
  },

  {
    id: 'previous',
    label: 'Previous image',
    group: 'Image',
    keys: ['ArrowUp', 'ArrowLeft'],
    run: (app) => app.active.scroll(-1),
  },
  {
    id: 'next',
    label: 'Next image',
    group: 'Image',
    keys: ['ArrowDown', 'ArrowRight'],
    run: (app) => app.active.scroll(1),
  },
  { id: 'back-10', label: 'Ten images back', group: 'Image', keys: ['PageUp'], run: (app) => app.active.scroll(-10) },
  { id: 'on-10', label: 'Ten images on', group: 'Image', keys: ['PageDown'], run: (app) => app.active.scroll(10) },
  { id: 'first', label: 'First image', group: 'Image', keys: ['Home'], run: (app) => app.active.goTo(0) },
  { id: 'last', label: 'Last image', group: 'Image', keys: ['End'], run: (app) => app.active.goTo(Infinity) },
  {
    id: 'play',
    label: 'Play or pause',
    group: 'Image',
    keys: ['Space'],
    run: (app) => {
      app.active.playing = !app.active.playing && (app.active.series?.frames ?? 0) > 1
    },
  },
  { id: 'next-series', label: 'Next series', group: 'Image', keys: ['j'], run: (app) => app.active.stepSeries(1) },
  {
    id: 'previous-series',
    label: 'Previous series',
    group: 'Image',
    keys: ['k'],
    run: (app) => app.active.stepSeries(-1),
  },

  ...presets,
  {
    id: 'invert',
    label: 'Invert',
    group: 'Grey levels',
    keys: ['i'],
    run: (app) => app.active.toggleInvert(),
  },
  {
    id: 'narrower',
    label: 'Narrower window',
    group: 'Grey levels',
    keys: ['Shift+ArrowLeft'],
    run: (app) => nudgeWindow(app, -STEP, 0),
  },
  {
    id: 'wider',
    label: 'Wider window',
    group: 'Grey levels',
    keys: ['Shift+ArrowRight'],
    run: (app) => nudgeWindow(app, STEP, 0),
  },
  {
    id: 'brighter',
    label: 'Brighter (lower centre)',
    group: 'Grey levels',
    keys: ['Shift+ArrowUp'],
    run: (app) => nudgeWindow(app, 0, -STEP),
  },
  {
    id: 'darker',
    label: 'Darker (higher centre)',
    group: 'Grey levels',
    keys: ['Shift+ArrowDown'],
    run: (app) => nudgeWindow(app, 0, STEP),
  },

  { id: 'reset', label: 'Reset', group: 'View', keys: ['r'], run: (app) => app.active.reset() },
  { id: 'fit', label: 'Fit', group: 'View', keys: ['f'], run: fit },
  { id: 'actual', label: 'Actual pixels', group: 'View', keys: ['x'], run: actualPixels },
  { id: 'zoom-in', label: 'Zoom in', group: 'View', keys: ['+', '='], run: zoom(1.25) },
  { id: 'zoom-out', label: 'Zoom out', group: 'View', keys: ['-'], run: zoom(0.8) },
  { id: 'pan-left', label: 'Move left', group: 'View', keys: ['Ctrl+ArrowLeft'], run: pan(-1, 0) },
  { id: 'pan-right', label: 'Move right', group: 'View', keys: ['Ctrl+ArrowRight'], run: pan(1, 0) },
  { id: 'pan-up', label: 'Move up', group: 'View', keys: ['Ctrl+ArrowUp'], run: pan(0, -1) },
  { id: 'pan-down', label: 'Move down', group: 'View', keys: ['Ctrl+ArrowDown'], run: pan(0, 1) },
  { id: 'rotate-left', label: 'Rotate left', group: 'View', keys: ['['], run: turn('anticlockwise') },
  { id: 'rotate-right', label: 'Rotate right', group: 'View', keys: [']'], run: turn('clockwise') },
  { id: 'flip-h', label: 'Flip left–right', group: 'View', keys: ['h'], run: turn('mirror') },
  { id: 'flip-v', label: 'Flip top–bottom', group: 'View', keys: ['v'], run: turn('upsideDown') },
  {
    id: 'overlay',
    label: 'Show or hide image text',
    group: 'View',
    keys: ['o'],
    run: (app) => app.settings.set({ overlay: !app.settings.choices.overlay }),
  },

  { id: 'tool-window', label: 'Window', group: 'Left mouse button', keys: ['w'], run: tool('window') },
  { id: 'tool-pan', label: 'Pan', group: 'Left mouse button', keys: ['p'], run: tool('pan') },
  { id: 'tool-zoom', label: 'Zoom', group: 'Left mouse button', keys: ['z'], run: tool('zoom') },
  { id: 'tool-scroll', label: 'Scroll', group: 'Left mouse button', keys: ['s'], run: tool('scroll') },

  { id: 'ask', label: 'Ask a question', group: 'Assistant', keys: ['a'], run: focusQuestion },
  {
    id: 'heat',
    label: 'Show or hide where it looked',
    group: 'Assistant',
    keys: ['e'],
    run: (app) => app.evidence.toggleNewestHeat(),
  },
  ...hints,
  { id: 'show-ask', label: 'Panel Ask', group: 'Assistant', keys: ['Alt+1'], run: tab('ask') },
  { id: 'show-findings', label: 'Panel Findings', group: 'Assistant', keys: ['Alt+2'], run: tab('findings') },
  { id: 'show-similar', label: 'Panel Similar', group: 'Assistant', keys: ['Alt+3'], run: tab('similar') },
  { id: 'show-tags', label: 'Panel Tags', group: 'Assistant', keys: ['Alt+4'], run: tab('tags') },
  { id: 'show-training', label: 'Panel Training', group: 'Assistant', keys: ['Alt+5'], run: tab('training') },
  { id: 'show-label', label: 'Panel Label', group: 'Assistant', keys: ['Alt+6'], run: tab('label') },

  { id: 'search', label: 'Search the library', group: 'Library', keys: ['/'], run: focusSearch },
  {
    id: 'import',
    label: 'Import cases',
    group: 'Library',
    keys: ['Ctrl+i'],
    run: (app) => {
      app.dialog = 'import'
    },
  },
  {
    id: 'label',
    label: 'Begin or end labelling',
    group: 'Library',
    keys: ['b'],
    run: (app) => {
      if (!app.labelling.on) app.tab = 'label'
      void app.labelling.toggle()
    },
  },
  { id: 'other-viewport', label: 'Other viewport', group: 'Library', keys: ['n'], run: switchViewport },
  {
    id: 'link',
    label: 'Link or unlink both viewports',
    group: 'Library',
    keys: ['l'],
    run: (app) => app.comparison.open && app.comparison.toggleAll(),
  },

  {
    id: 'models',
    label: 'Model packs',
    group: 'Window',
    keys: ['m'],
    run: (app) => {
      app.dialog = 'models'
    },
  },
  {
    id: 'settings',
    label: 'Settings',
    group: 'Window',
    keys: ['Ctrl+,'],
    run: (app) => {
      app.dialog = 'settings'
    },
  },
  {
    id: 'help',
    label: 'Shortcuts',
    group: 'Window',
    keys: ['?', 'F1'],
    run: (app) => {
      app.dialog = 'help'
    },
  },
  {
    id: 'stop',
    label: 'Close the comparison, or stop the newest job',
    group: 'Window',
    keys: ['Escape'],
    run: stop,
  },
]

const BY_KEY = new Map(ACTIONS.flatMap((action) => action.keys.map((key) => [key, action] as const)))
const BY_ID = new Map(ACTIONS.map((action) => [action.id, action]))

/** The action on a key. */
export function actionFor(key: string): Action | undefined {
  return BY_KEY.get(key)
}

/** The action with an identifier of {@link ACTIONS}. */
export function actionById(id: string): Action {
  const action = BY_ID.get(id)
  if (!action) throw new Error(`no action ${id}`)
  return action
}
