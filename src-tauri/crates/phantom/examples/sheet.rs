//! Writes a contact sheet of phantoms: `sheet KIND SEED COUNT SHORT_SIDE OUT.png`.

use lucency_phantom::{
    Finding, Radiograph, Region, Site, Spec, View, film_size, head, render_chest, render_head,
};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let kind = arguments[0].as_str();
    let seed: u64 = arguments[1].parse().expect("a seed");
    let count: usize = arguments[2].parse().expect("a count");
    let side: usize = arguments[3].parse().expect("a size");
    let mut tiles = Vec::new();
    let start = std::time::Instant::now();
    for i in 0..count as u64 {
        let site = if i % 2 == 0 { Site::A } else { Site::B };
        let mut spec = Spec::normal_chest(seed + i, site);
        let mut view = spec.views[0];
        match kind {
            "normal" => {}
            "lateral" => view = View::Lateral,
            "head" => spec = Spec::head(seed + i, site),
            "volume" => spec = Spec::head(seed, site),
            "mixed" => {
                spec = Spec::chest(seed + i, site);
                view = spec.views[0];
            }
            name => {
                let (name, is_lateral) = match name.strip_prefix("lateral-") {
                    Some(rest) => (rest, true),
                    None => (name, false),
                };
                let finding: Finding = name.parse().expect("a finding");
                if finding.region() == Region::Head {
                    spec = Spec::normal_head(seed + i, site);
                }
                spec = spec.with(finding);
                if is_lateral {
                    view = View::Lateral;
                }
            }
        }
        if spec.region == Region::Head {
            let z = if kind == "volume" {
                head::slice_positions()[i as usize % head::SLICES]
            } else {
                head::key_slice(&spec)
            };
            let slice = render_head(&spec, z, side);
            let values = slice
                .to_display_u8(38.0, 82.0)
                .into_iter()
                .map(|v| u16::from(v) << 4)
                .collect();
            tiles.push(Radiograph {
                width: side,
                height: side,
                values,
                spacing_mm: slice.spacing_mm,
            });
            continue;
        }
        let (w, h) = film_size(&spec, view, side);
        tiles.push(render_chest(&spec, view, w, h));
    }
    eprintln!(
        "{:.2} ms an image",
        start.elapsed().as_secs_f64() * 1e3 / count as f64
    );
    let columns = (count as f64).sqrt().ceil().max(1.0) as usize;
    let cell_w = tiles.iter().map(|t| t.width).max().expect("tiles") + 4;
    let cell_h = tiles.iter().map(|t| t.height).max().expect("tiles") + 4;
    let rows = count.div_ceil(columns);
    let mut sheet = image::GrayImage::new((cell_w * columns) as u32, (cell_h * rows) as u32);
    for (i, tile) in tiles.iter().enumerate() {
        let (ox, oy) = ((i % columns) * cell_w, (i / columns) * cell_h);
        for (p, v) in tile.to_display_u8().iter().enumerate() {
            sheet.put_pixel(
                (ox + p % tile.width) as u32,
                (oy + p / tile.width) as u32,
                image::Luma([*v]),
            );
        }
    }
    sheet.save(&arguments[4]).expect("written");
}
