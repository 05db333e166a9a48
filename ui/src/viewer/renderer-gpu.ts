/** The renderer that uses WebGL2: stored values and the display table are textures, so a new window is a new table only. */

import { inverse } from './geometry'
import { hasTable, pipelineKey } from './lut'
import { type Picture, rawBits, type Renderer, scaleOf, shade, Tables } from './renderer'

const VERTEX = `#version 300 es
void main() { // one triangle over everything
  vec2 corner = vec2((gl_VertexID << 1) & 2, gl_VertexID & 2);
  gl_Position = vec4(corner * 2.0 - 1.0, 0.0, 1.0);
}`

/** Shared: from the device pixel to level coordinates, and blending of four neighbours. */
const BODY = `
uniform vec4 linear;   // device to level coordinates: columns of the matrix
uniform vec2 offset;
uniform float height;  // of the target, device pixels
uniform vec2 extent;   // of the image, level pixels (the last may be a part)
uniform bool smooth_;
out vec4 colour;
void main() {
  vec2 device = vec2(gl_FragCoord.x, height - gl_FragCoord.y);
  vec2 place = linear.xy * device.x + linear.zw * device.y + offset;
  if (any(lessThan(place, vec2(0.0))) || any(greaterThanEqual(place, extent))) { colour = vec4(0.0); return; }
  if (!smooth_) { colour = vec4(texel(ivec2(place)), 1.0); return; }
  vec2 base = floor(place - 0.5);
  vec2 part = place - 0.5 - base;
  ivec2 corner = ivec2(base);
  vec3 upper = mix(texel(corner), texel(corner + ivec2(1, 0)), part.x);
  vec3 lower = mix(texel(corner + ivec2(0, 1)), texel(corner + ivec2(1, 1)), part.x);
  colour = vec4(mix(upper, lower, part.y), 1.0);
}`

const HEAD = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
precision highp sampler2D;
`

const GREY = `${HEAD}
uniform usampler2D values;
uniform sampler2D table;   // 256 columns
vec3 texel(ivec2 at) {
  uint raw = texelFetch(values, clamp(at, ivec2(0), textureSize(values, 0) - 1), 0).r;
  return vec3(texelFetch(table, ivec2(int(raw & 255u), int(raw >> 8)), 0).r);
}
${BODY}`

const COLOUR = `${HEAD}
uniform sampler2D values;
vec3 texel(ivec2 at) { return texelFetch(values, clamp(at, ivec2(0), textureSize(values, 0) - 1), 0).rgb; }
${BODY}`

interface Program {
  program: WebGLProgram
  at: (name: string) => WebGLUniformLocation | null
}

/** Draws with WebGL2 into a canvas of its own and copies from there. */
export class GpuRenderer implements Renderer {
  readonly kind = 'webgl2'
  readonly #canvas = document.createElement('canvas')
  readonly #gl: WebGL2RenderingContext
  readonly #tables = new Tables()
  readonly #grey: Program
  readonly #colour: Program
  readonly #values: WebGLTexture
  readonly #table: WebGLTexture
  readonly #maxSide: number
  #words = new Uint32Array()
  #uploaded = ''
  #tableUploaded = ''

  /** Throws if WebGL2 is missing. `onLost` is called when the system takes the context away. */
  constructor(onLost: () => void) {
    const gl = this.#canvas.getContext('webgl2', {
      alpha: true,
      antialias: false,
      depth: false,
      stencil: false,
      premultipliedAlpha: true,
      preserveDrawingBuffer: true,
      powerPreference: 'high-performance',
    })
    if (!gl) throw new Error('no WebGL2')
    this.#gl = gl
    this.#canvas.addEventListener('webglcontextlost', (event) => {
      event.preventDefault()
      onLost()
    })
    this.#grey = link(gl, GREY)
    this.#colour = link(gl, COLOUR)
    this.#values = texture(gl)
    this.#table = texture(gl)
    this.#maxSide = gl.getParameter(gl.MAX_TEXTURE_SIZE) as number
    gl.bindVertexArray(gl.createVertexArray())
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1)
  }

  paint(target: CanvasRenderingContext2D, picture: Picture): void {
    const gl = this.#gl
    if (gl.isContextLost()) throw new Error('the graphics context was lost')
    const { frame, map } = picture
    const { info } = frame
    const { width, height } = target.canvas
    if (this.#canvas.width !== width) this.#canvas.width = width
    if (this.#canvas.height !== height) this.#canvas.height = height
    gl.viewport(0, 0, width, height)

    const reduction = frame.reductionFor(scaleOf(map))
    const { program, at } = this.#upload(picture, reduction)
    const part = 2 ** reduction
    const back = inverse(map)
    gl.useProgram(program)
    gl.uniform1i(at('values'), 0)
    gl.uniform1i(at('table'), 1)
    gl.uniform4f(at('linear'), back.a / part, back.b / part, back.c / part, back.d / part)
    gl.uniform2f(at('offset'), back.e / part, back.f / part)
    gl.uniform1f(at('height'), height)
    gl.uniform2f(at('extent'), info.columns / part, info.rows / part)
    gl.uniform1i(at('smooth_'), picture.interpolation === 'linear' ? 1 : 0)
    gl.drawArrays(gl.TRIANGLES, 0, 3)

    target.setTransform(1, 0, 0, 1, 0, 0)
    target.drawImage(this.#canvas, 0, 0)
  }

  dispose(): void {
    this.#gl.getExtension('WEBGL_lose_context')?.loseContext()
  }

  /** Brings values and table to the device, unless they are there, and chooses the program. */
  #upload({ frame, pipeline }: Picture, reduction: number): Program {
    const gl = this.#gl
    const { info } = frame
    const pipelineName = pipelineKey(info.kind, pipeline)
    const tabled = info.samples === 1 && hasTable(info.kind)
    const wanted = `${frame.key}|${reduction}|${tabled ? '' : pipelineName}`
    gl.activeTexture(gl.TEXTURE0)
    gl.bindTexture(gl.TEXTURE_2D, this.#values)
    if (wanted !== this.#uploaded) {
      const level = frame.level(reduction)
      const { columns, rows } = level
      if (Math.max(columns, rows) > this.#maxSide) throw new Error('the frame is too large for the graphics device')
      if (tabled) {
        const raw = rawBits(level)
        const [inside, type] = raw instanceof Uint8Array ? [gl.R8UI, gl.UNSIGNED_BYTE] : [gl.R16UI, gl.UNSIGNED_SHORT]
        gl.texImage2D(gl.TEXTURE_2D, 0, inside, columns, rows, 0, gl.RED_INTEGER, type, raw)
      } else {
        if (this.#words.length !== columns * rows) this.#words = new Uint32Array(columns * rows)
        shade(level, info, pipeline, undefined, this.#words)
        const bytes = new Uint8Array(this.#words.buffer)
        gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA8, columns, rows, 0, gl.RGBA, gl.UNSIGNED_BYTE, bytes)
      }
      this.#uploaded = wanted
    }
    if (!tabled) return this.#colour
    gl.activeTexture(gl.TEXTURE1)
    gl.bindTexture(gl.TEXTURE_2D, this.#table)
    if (pipelineName !== this.#tableUploaded) {
      const table = this.#tables.get(info, pipeline, pipelineName)!
      gl.texImage2D(gl.TEXTURE_2D, 0, gl.R8, 256, table.length / 256, 0, gl.RED, gl.UNSIGNED_BYTE, table)
      this.#tableUploaded = pipelineName
    }
    return this.#grey
  }
}

function texture(gl: WebGL2RenderingContext): WebGLTexture {
  const made = gl.createTexture()
  gl.bindTexture(gl.TEXTURE_2D, made)
  for (const [name, value] of [
    [gl.TEXTURE_MIN_FILTER, gl.NEAREST],
    [gl.TEXTURE_MAG_FILTER, gl.NEAREST],
    [gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE],
    [gl.TEXTURE_WRAP_T, gl.CLAMP_TO_EDGE],
  ] as const)
    gl.texParameteri(gl.TEXTURE_2D, name, value)
  return made
}

function link(gl: WebGL2RenderingContext, fragment: string): Program {
  const program = gl.createProgram()
  for (const [type, source] of [
    [gl.VERTEX_SHADER, VERTEX],
    [gl.FRAGMENT_SHADER, fragment],
  ] as const) {
    const shader = gl.createShader(type)
    if (!shader) throw new Error('no shader')
    gl.shaderSource(shader, source)
    gl.compileShader(shader)
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader) ?? 'shader')
    gl.attachShader(program, shader)
  }
  gl.linkProgram(program)
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program) ?? 'program')
  const places = new Map<string, WebGLUniformLocation | null>()
  return {
    program,
    at: (name) => {
      if (!places.has(name)) places.set(name, gl.getUniformLocation(program, name))
      return places.get(name) ?? null
    },
  }
}
