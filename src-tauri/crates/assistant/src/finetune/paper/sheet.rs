//! Pages that are filled from the top: words, tables, lines and pictures, as a PDF file.
//!
//! Only the fonts that every reader of PDF has are used (Helvetica, ISO 32000-1, 9.6.2.2), so that no font goes into the file; signs that
//! its encoding lacks become `?`.

use lopdf::content::{Content, Operation};
use lopdf::{Document, Object, Stream, StringFormat, dictionary};

use super::super::refuse;
use crate::error::Result;

/// A4 in points.
const PAGE: (f32, f32) = (595.0, 842.0);
/// Blank on every side, points.
const MARGIN: f32 = 48.0;
/// What fits between the margins, points.
pub(super) const WIDTH: f32 = PAGE.0 - 2.0 * MARGIN;
/// Distance of lines as a factor of the letters' size.
const LEADING: f32 = 1.35;

/// How words look.
#[derive(Clone, Copy)]
pub(super) struct Style {
    pub size: f32,
    pub bold: bool,
    /// Red, green and blue, 0 to 1.
    pub ink: [f32; 3],
}

/// Black words in the text's size.
pub(super) const PLAIN: Style = Style {
    size: 9.0,
    bold: false,
    ink: [0.06, 0.09, 0.11],
};
/// The same in bold.
pub(super) const BOLD: Style = Style {
    bold: true,
    ..PLAIN
};
/// Grey words, smaller.
pub(super) const QUIET: Style = Style {
    size: 8.0,
    ink: [0.29, 0.33, 0.37],
    ..PLAIN
};
/// Words that warn.
pub(super) const WARNING: Style = Style {
    ink: [0.48, 0.30, 0.0],
    ..PLAIN
};

/// A grey picture.
pub(super) struct Grey {
    pub width: usize,
    pub height: usize,
    /// `[height · width]`.
    pub pixels: Vec<u8>,
}

/// What is drawn on a page, and the pictures that it names.
type Page = (Vec<Operation>, Vec<(String, Object)>);

/// A document that grows downwards.
pub(super) struct Sheet {
    document: Document,
    pages: Vec<Page>,
    /// Where the next line begins, points from the page's lower edge.
    y: f32,
}

impl Sheet {
    /// With one empty page.
    pub fn new() -> Self {
        Self {
            document: Document::with_version("1.5"),
            pages: vec![(Vec::new(), Vec::new())],
            y: PAGE.1 - MARGIN,
        }
    }

    /// Begins a new page unless `height` points are left.
    pub fn keep_together(&mut self, height: f32) {
        if self.y - height < MARGIN {
            self.pages.push((Vec::new(), Vec::new()));
            self.y = PAGE.1 - MARGIN;
        }
    }

    /// Leaves room.
    pub fn gap(&mut self, points: f32) {
        self.y -= points;
    }

    /// The upper edge of what comes next, points from the page's lower edge.
    pub fn top(&self) -> f32 {
        self.y
    }

    /// Words over the whole width, in as many lines as they need.
    pub fn paragraph(&mut self, text: &str, style: Style) {
        for line in wrapped(text, WIDTH, style) {
            self.keep_together(style.size * LEADING);
            self.y -= style.size * LEADING;
            let y = self.y;
            self.words(MARGIN, y, &line, style);
        }
    }

    /// A heading with what follows it.
    pub fn heading(&mut self, text: &str) {
        self.gap(8.0);
        self.keep_together(60.0);
        let style = Style { size: 11.0, ..BOLD };
        self.paragraph(text, style);
        self.gap(2.0);
    }

    /// A table with a line below each row; its first column is to the left, the others to the right.
    ///
    /// - `widths`: of the columns, points; `rows`: the first is the header
    pub fn table(&mut self, widths: &[f32], rows: &[Vec<String>]) {
        let step = QUIET.size * LEADING + 3.0;
        for (i, row) in rows.iter().enumerate() {
            self.keep_together(step);
            self.y -= step;
            let (mut x, y) = (MARGIN, self.y);
            for (column, (width, text)) in widths.iter().zip(row).enumerate() {
                let style = match i {
                    0 => QUIET,
                    _ => Style { size: 8.0, ..PLAIN },
                };
                let text = fitting(text, *width - 4.0, style);
                let shift = match column {
                    0 => 0.0,
                    _ => *width - width_of(&text, style),
                };
                self.words(x + shift, y, &text, style);
                x += width;
            }
            self.stroke(&[(MARGIN, y - 3.0), (x, y - 3.0)], [0.72, 0.75, 0.78], 0.4);
        }
        self.gap(6.0);
    }

    /// Words whose first letter stands at a place on the page, points from its lower left corner.
    pub fn words(&mut self, x: f32, y: f32, text: &str, style: Style) {
        let font = if style.bold { "F2" } else { "F1" };
        let bytes = Object::String(encoded(text), StringFormat::Literal);
        let [r, g, b] = style.ink;
        self.draw(&[
            ("BT", vec![]),
            ("rg", vec![r.into(), g.into(), b.into()]),
            ("Tf", vec![font.into(), style.size.into()]),
            ("Td", vec![x.into(), y.into()]),
            ("Tj", vec![bytes]),
            ("ET", vec![]),
        ]);
    }

    /// A line through points of the page.
    pub fn stroke(&mut self, points: &[(f32, f32)], ink: [f32; 3], width: f32) {
        let [r, g, b] = ink;
        self.draw(&[
            ("RG", vec![r.into(), g.into(), b.into()]),
            ("w", vec![width.into()]),
        ]);
        for (i, (x, y)) in points.iter().enumerate() {
            let word = if i == 0 { "m" } else { "l" };
            self.draw(&[(word, vec![(*x).into(), (*y).into()])]);
        }
        self.draw(&[("S", vec![])]);
    }

    /// A grey picture in a square of the page.
    pub fn picture(&mut self, x: f32, y: f32, side: f32, grey: &Grey) {
        let stream = Stream::new(
            dictionary! {
                "Type" => "XObject", "Subtype" => "Image", "Width" => grey.width as i64, "Height" => grey.height as i64,
                "ColorSpace" => "DeviceGray", "BitsPerComponent" => 8,
            },
            grey.pixels.clone(),
        );
        let id = self.document.add_object(stream);
        let scale = side / grey.width.max(grey.height) as f32;
        let (width, height) = (grey.width as f32 * scale, grey.height as f32 * scale);
        let Some((_, pictures)) = self.pages.last_mut() else {
            return;
        };
        let name = format!("P{}", pictures.len());
        pictures.push((name.clone(), Object::Reference(id)));
        let zero = || Object::from(0);
        self.draw(&[
            ("q", vec![]),
            (
                "cm",
                vec![
                    width.into(),
                    zero(),
                    zero(),
                    height.into(),
                    x.into(),
                    y.into(),
                ],
            ),
            ("Do", vec![name.as_str().into()]),
            ("Q", vec![]),
        ]);
    }

    fn draw(&mut self, operations: &[(&str, Vec<Object>)]) {
        if let Some((page, _)) = self.pages.last_mut() {
            let one =
                |(word, operands): &(&str, Vec<Object>)| Operation::new(word, operands.clone());
            page.extend(operations.iter().map(one));
        }
    }

    /// The file's bytes and its number of pages.
    ///
    /// - `title`: in the file's properties; `foot`: below every page
    ///
    /// Errors if the file cannot be put together.
    pub fn finish(mut self, title: &str, foot: &str) -> Result<(Vec<u8>, usize)> {
        let broken = |e: lopdf::Error| refuse("pdf", format!("the report cannot be written: {e}"));
        let count = self.pages.len();
        let pages = std::mem::take(&mut self.pages);
        for (number, page) in pages.into_iter().enumerate() {
            self.pages.push(page);
            let text = format!("{foot} – page {} of {count}", number + 1);
            self.words(MARGIN, MARGIN - 20.0, &text, QUIET);
        }
        let document = &mut self.document;
        let font = |name: &str| {
            dictionary! { "Type" => "Font", "Subtype" => "Type1", "BaseFont" => name, "Encoding" => "WinAnsiEncoding" }
        };
        let plain = document.add_object(font("Helvetica"));
        let bold = document.add_object(font("Helvetica-Bold"));
        let root = document.new_object_id();
        let mut kids: Vec<Object> = Vec::new();
        for (operations, pictures) in self.pages {
            let content = Content { operations }.encode().map_err(broken)?;
            let content = document.add_object(Stream::new(dictionary! {}, content));
            let mut objects = lopdf::Dictionary::new();
            for (name, picture) in pictures {
                objects.set(name, picture);
            }
            let page = document.add_object(dictionary! {
                "Type" => "Page", "Parent" => root, "Contents" => content,
                "MediaBox" => vec![0.into(), 0.into(), PAGE.0.into(), PAGE.1.into()],
                "Resources" => dictionary! {
                    "Font" => dictionary! { "F1" => plain, "F2" => bold }, "XObject" => objects,
                },
            });
            kids.push(page.into());
        }
        let tree = dictionary! { "Type" => "Pages", "Count" => count as i64, "Kids" => kids };
        document.objects.insert(root, tree.into());
        let catalog = document.add_object(dictionary! { "Type" => "Catalog", "Pages" => root });
        let title = Object::String(encoded(title), StringFormat::Literal);
        let info = document.add_object(
            dictionary! { "Title" => title, "Producer" => Object::string_literal("Lucency") },
        );
        document.trailer.set("Root", catalog);
        document.trailer.set("Info", info);
        document.compress();
        let mut bytes = Vec::new();
        document
            .save_to(&mut bytes)
            .map_err(|source| crate::AssistantError::Io {
                what: "the report".into(),
                source,
            })?;
        Ok((bytes, count))
    }
}

/// Words in the encoding of the fonts. Source: ISO 32000-1, annex D.2.
fn encoded(text: &str) -> Vec<u8> {
    let byte = |c: char| match c {
        ' '..='~' | '\u{a0}'..='\u{ff}' => c as u8,
        '–' => 0x96,
        '—' => 0x97,
        '‘' => 0x91,
        '’' => 0x92,
        '“' => 0x93,
        '”' => 0x94,
        '…' => 0x85,
        '•' => 0x95,
        '−' | '\u{2011}' => b'-',
        '\u{2009}' | '\u{202f}' | '\t' => b' ',
        _ => b'?',
    };
    text.chars().map(byte).collect()
}

/// Widths of Helvetica's letters from the blank to the tilde, thousandths of their size. Source: Adobe's font metrics.
const WIDTHS: [u16; 95] = [
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
];

/// How wide words are, points; bold ones are a little wider than their plain form.
fn width_of(text: &str, style: Style) -> f32 {
    let width = |byte: &u8| match byte {
        b' '..=b'~' => f32::from(WIDTHS[usize::from(*byte - b' ')]),
        _ => 556.0,
    };
    let sum: f32 = encoded(text).iter().map(width).sum();
    sum / 1000.0 * style.size * if style.bold { 1.07 } else { 1.0 }
}

/// Words cut short with three dots if they are too wide.
fn fitting(text: &str, width: f32, style: Style) -> String {
    if width_of(text, style) <= width {
        return text.to_owned();
    }
    let mut short: Vec<char> = text.chars().collect();
    while !short.is_empty() {
        short.pop();
        let cut: String = short.iter().collect::<String>() + "…";
        if width_of(&cut, style) <= width {
            return cut;
        }
    }
    String::new()
}

/// Words in lines; one that is wider than a line is cut.
fn wrapped(text: &str, width: f32, style: Style) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let word = fitting(word, width, style);
        match lines.last_mut() {
            Some(line) if width_of(&format!("{line} {word}"), style) <= width => {
                line.push(' ');
                line.push_str(&word);
            }
            _ => lines.push(word),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_wrapped_by_their_width_and_none_is_lost() {
        let text = "The whole interval of its gain lies above zero, and its probabilities are no less calibrated.";
        let lines = wrapped(text, 120.0, PLAIN);
        assert!(lines.len() > 2 && lines.iter().all(|l| width_of(l, PLAIN) <= 120.0));
        assert_eq!(lines.join(" "), text);
        assert_eq!(
            fitting("a very long name of a class", 30.0, PLAIN),
            "a very…"
        );
        // Adobe's metrics: H 722, e 556, l 222, l 222, o 556.
        let found = width_of(
            "Hello",
            Style {
                size: 10.0,
                ..PLAIN
            },
        );
        assert!((found - 22.78).abs() < 1e-4, "{found}");
    }

    #[test]
    fn a_file_is_read_back_with_its_words_on_as_many_pages_as_they_need() {
        let mut sheet = Sheet::new();
        for line in 0..100 {
            sheet.paragraph(&format!("line {line} – “quoted”"), PLAIN);
        }
        let pixels = vec![128; 6];
        let grey = Grey {
            width: 3,
            height: 2,
            pixels,
        };
        sheet.picture(50.0, 50.0, 30.0, &grey);
        let (bytes, pages) = sheet.finish("Report", "Lucency").unwrap();
        assert_eq!(pages, 2);
        let read = Document::load_mem(&bytes).unwrap();
        assert_eq!(read.get_pages().len(), 2);
        let text = read.extract_text(&[1, 2]).unwrap();
        assert!(
            text.contains("line 0 ") && text.contains("line 99 "),
            "{text}"
        );
        assert!(text.contains("page 2 of 2"), "{text}");
    }
}
