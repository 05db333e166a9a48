//! Planes of path lengths and the few strokes that fill them.

/// A grid of numbers, row by row.
#[derive(Clone, Debug)]
pub(crate) struct Plane {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) values: Vec<f32>,
}

/// A point of a tube in pixels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Knot {
    pub(crate) x: f32,
    pub(crate) y: f32,
    /// Radius in pixels.
    pub(crate) radius: f32,
    /// Factor on the path length here.
    pub(crate) weight: f32,
}

/// How a tube is filled.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fill {
    /// Solid: the chord of a cylinder.
    Solid,
    /// A shell of this thickness (fraction of the radius) and a core of this relative density.
    Shell { wall: f32, core: f32 },
}

impl Plane {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            values: vec![0.0; width * height],
        }
    }

    /// Adds the path length (pixels) through a bent tube; where it overlaps itself the longer counts.
    /// `scratch` is zero before and after.
    pub(crate) fn add_tube(&mut self, knots: &[Knot], fill: Fill, gain: f32, scratch: &mut Plane) {
        let (w, h) = (self.width as i32, self.height as i32);
        let (mut x0, mut x1, mut y0, mut y1) = (w, -1, h, -1);
        for pair in knots.windows(2) {
            let (a, b) = (pair[0], pair[1]);
            let reach = widened(a.radius.max(b.radius)) + 0.5;
            let left = ((a.x.min(b.x) - reach).floor() as i32).max(0);
            let right = ((a.x.max(b.x) + reach).ceil() as i32).min(w - 1);
            let top = ((a.y.min(b.y) - reach).floor() as i32).max(0);
            let bottom = ((a.y.max(b.y) + reach).ceil() as i32).min(h - 1);
            if left > right || top > bottom {
                continue;
            }
            x0 = x0.min(left);
            x1 = x1.max(right);
            y0 = y0.min(top);
            y1 = y1.max(bottom);
            let (dx, dy) = (b.x - a.x, b.y - a.y);
            let length2 = (dx * dx + dy * dy).max(1e-6);
            for py in top..=bottom {
                let row = py as usize * self.width;
                for px in left..=right {
                    let (ex, ey) = (px as f32 - a.x, py as f32 - a.y);
                    let t = ((ex * dx + ey * dy) / length2).clamp(0.0, 1.0);
                    let (fx, fy) = (ex - t * dx, ey - t * dy);
                    let d2 = fx * fx + fy * fy;
                    let radius = a.radius + t * (b.radius - a.radius);
                    let value = section(d2, radius, fill) * (a.weight + t * (b.weight - a.weight));
                    let cell = &mut scratch.values[row + px as usize];
                    if value > *cell {
                        *cell = value;
                    }
                }
            }
        }
        for py in y0..=y1 {
            let row = py as usize * self.width;
            for i in row + x0.max(0) as usize..(row as i32 + x1 + 1).max(0) as usize {
                self.values[i] += gain * scratch.values[i];
                scratch.values[i] = 0.0;
            }
        }
    }

    /// Blurs like a Gaussian of this standard deviation (pixels): three running means.
    /// Source: Wells 1986, repeated averaging.
    pub(crate) fn blur(&mut self, sigma: f32) {
        if sigma < 0.3 {
            return;
        }
        if sigma < 1.2 {
            self.blur_small(sigma);
            return;
        }
        let radius = ((((4.0 * sigma * sigma + 1.0).sqrt() - 1.0) / 2.0).round() as usize).max(1);
        let mut line = vec![0.0; self.width.max(self.height)];
        for _ in 0..3 {
            for row in self.values.chunks_exact_mut(self.width) {
                running_mean(row, radius, &mut line);
            }
        }
        let mut turned = self.transposed();
        for _ in 0..3 {
            for row in turned.values.chunks_exact_mut(turned.width) {
                running_mean(row, radius, &mut line);
            }
        }
        *self = turned.transposed();
    }

    fn blur_small(&mut self, sigma: f32) {
        let side = (-0.5 / (sigma * sigma)).exp();
        let total = 1.0 + 2.0 * side;
        let (centre, side) = (1.0 / total, side / total);
        for row in self.values.chunks_exact_mut(self.width) {
            let mut before = row[0];
            for x in 0..row.len() {
                let here = row[x];
                let after = row[(x + 1).min(row.len() - 1)];
                row[x] = centre * here + side * (before + after);
                before = here;
            }
        }
        let width = self.width;
        let mut before: Vec<f32> = self.values[..width].to_vec();
        for y in 0..self.height {
            let next = (y + 1).min(self.height - 1) * width;
            for (x, before) in before.iter_mut().enumerate() {
                let here = self.values[y * width + x];
                let after = self.values[next + x];
                self.values[y * width + x] = centre * here + side * (*before + after);
                *before = here;
            }
        }
    }

    fn transposed(&self) -> Plane {
        let mut out = Plane::new(self.height, self.width);
        for y in 0..self.height {
            for x in 0..self.width {
                out.values[x * self.height + y] = self.values[y * self.width + x];
            }
        }
        out
    }
}

/// A mean over `2·radius+1` cells with the border repeated.
fn running_mean(row: &mut [f32], radius: usize, line: &mut [f32]) {
    let n = row.len();
    line[..n].copy_from_slice(row);
    let at = |i: isize| line[i.clamp(0, n as isize - 1) as usize];
    let r = radius as isize;
    let mut sum: f32 = (-r..=r).map(at).sum();
    let scale = 1.0 / (2 * radius + 1) as f32;
    for (x, cell) in row.iter_mut().enumerate() {
        *cell = sum * scale;
        let x = x as isize;
        sum += at(x + r + 1) - at(x - r);
    }
}

/// The radius at which a tube is drawn, so that thin ones cover at least about a pixel.
fn widened(radius: f32) -> f32 {
    (radius * radius + 0.45).sqrt()
}

/// Path length at squared distance `d2` from the axis; area is kept when thin tubes are widened.
fn section(d2: f32, radius: f32, fill: Fill) -> f32 {
    let wide = widened(radius);
    let w2 = wide * wide;
    if d2 >= w2 {
        return 0.0;
    }
    let outer = 2.0 * (w2 - d2).sqrt() * (radius * radius / w2);
    match fill {
        Fill::Solid => outer,
        Fill::Shell { wall, core } => {
            let inner = wide * (1.0 - wall);
            let i2 = inner * inner;
            if d2 >= i2 {
                outer
            } else {
                outer - (1.0 - core) * 2.0 * (i2 - d2).sqrt() * (radius * radius / w2)
            }
        }
    }
}

/// Smooth random texture: a table of random numbers, interpolated, in octaves.
#[derive(Clone, Debug)]
pub(crate) struct Texture {
    table: Vec<f32>,
}

const TABLE: usize = 64;

impl Texture {
    pub(crate) fn new(rng: &mut impl rand::Rng) -> Self {
        Self {
            table: (0..TABLE * TABLE)
                .map(|_| rng.random::<f32>() * 2.0 - 1.0)
                .collect(),
        }
    }

    /// One octave at a position in cells; about uniform in −1…1, smooth.
    pub(crate) fn octave(&self, x: f32, y: f32) -> f32 {
        let (xf, yf) = (x.floor(), y.floor());
        let (tx, ty) = (x - xf, y - yf);
        let (sx, sy) = (tx * tx * (3.0 - 2.0 * tx), ty * ty * (3.0 - 2.0 * ty));
        let x0 = (xf as i32 as usize) & (TABLE - 1);
        let y0 = (yf as i32 as usize) & (TABLE - 1);
        let x1 = (x0 + 1) & (TABLE - 1);
        let y1 = (y0 + 1) & (TABLE - 1);
        let t = &self.table;
        let a = t[y0 * TABLE + x0] + sx * (t[y0 * TABLE + x1] - t[y0 * TABLE + x0]);
        let b = t[y1 * TABLE + x0] + sx * (t[y1 * TABLE + x1] - t[y1 * TABLE + x0]);
        a + sy * (b - a)
    }

    /// Several octaves from cells of `cell` (same unit as x and y) down, each half as large and
    /// `fall` as strong.
    pub(crate) fn fractal(&self, x: f32, y: f32, cell: f32, octaves: u32, fall: f32) -> f32 {
        let mut sum = 0.0;
        let mut gain = 1.0;
        let mut scale = 1.0 / cell;
        for o in 0..octaves {
            let shift = o as f32 * 17.31;
            sum += gain * self.octave(x * scale + shift, y * scale - shift);
            gain *= fall;
            scale *= 2.03;
        }
        sum
    }
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(crate) fn smoothstep(low: f32, high: f32, x: f32) -> f32 {
    let t = ((x - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// Linear interpolation in a table of (x, y) sorted by x; flat outside.
pub(crate) fn interpolate(table: &[(f32, f32)], x: f32) -> f32 {
    if x <= table[0].0 {
        return table[0].1;
    }
    for pair in table.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        if x <= b.0 {
            let t = (x - a.0) / (b.0 - a.0);
            let s = t * t * (3.0 - 2.0 * t);
            return a.1 + (0.5 * s + 0.5 * t) * (b.1 - a.1);
        }
    }
    table[table.len() - 1].1
}
