/** Which tool a mouse button drags, and what a drag changes. */

import type { WindowDto } from '../../backend/types'
import type { Point, View } from '../geometry'
import { panned } from './pan'
import { framesDragged } from './scroll'
import { windowDragged } from './window'
import { zoomDragged } from './zoom'

/** What can be dragged. */
export type DragTool = 'window' | 'pan' | 'zoom' | 'scroll'

/** What was in force when a drag began. */
export interface DragStart {
  window: WindowDto | null
  view: View
  zoom: number
  /** Where it began, CSS pixels from the viewport's centre. */
  at: Point
  index: number
  frames: number
  /** Of the viewport, CSS pixels. */
  height: number
}

/** What a drag changes. */
export interface DragChange {
  window?: WindowDto
  view?: View
  index?: number
}

/** A drag in progress: from the way since it began, CSS pixels, to what changes. */
export type Drag = (delta: Point) => DragChange

/** The tool of a button: left the chosen one (Shift pans, Ctrl zooms), middle pans, right zooms. */
export function toolFor(
  event: Pick<PointerEvent, 'button' | 'shiftKey' | 'ctrlKey' | 'metaKey'>,
  left: DragTool,
): DragTool | null {
  switch (event.button) {
    case 0:
      if (event.shiftKey) return 'pan'
      return event.ctrlKey || event.metaKey ? 'zoom' : left
    case 1:
      return 'pan'
    case 2:
      return 'zoom'
    default:
      return null
  }
}

/** Begins a drag. */
export function beginDrag(tool: DragTool, start: DragStart): Drag {
  switch (tool) {
    case 'window': {
      const { window } = start
      return (delta) => (window ? { window: windowDragged(window, delta) } : {})
    }
    case 'pan':
      return (delta) => ({ view: panned(start.view, start.zoom, delta) })
    case 'zoom':
      return (delta) => ({ view: zoomDragged(start.view, start.zoom, delta.y, start.at) })
    case 'scroll':
      return (delta) => ({ index: start.index + framesDragged(delta.y, start.frames, start.height) })
  }
}
