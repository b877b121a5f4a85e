//! JPEG in TIFF (compression 7; TIFF Technical Note 2): the stream's segments, and the way back through
//! jpeg-encoder. `jpeg_huffman` reads codes, `jpeg_scan` makes coefficients of them, `jpeg_idct` samples of these, and
//! `jpeg_planes` pixels.
//!
//! The decoder is our own because none was found that is exact and strict. zune-jpeg 0.5.15 is up to 24 off
//! libjpeg where chroma is upsampled across rows of MCUs (4:2:0, 4:4:0), and takes some truncated streams even in its
//! strict mode; jpeg-decoder 0.3.2 is up to 41 off in narrow images. This one equals libjpeg-turbo to the bit.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use jpeg_encoder::{Encoder, ImageBuffer, JpegColorType, SamplingFactor};

use super::jpeg_huffman::{Bits, Huffman};
use super::jpeg_idct::Block;
use super::jpeg_planes::Canvas;
use super::jpeg_scan::{self, Scan};
use crate::error::{Error, Result};

/// Where in a block the coefficients of a stream go (T.81 figure A.6).
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7,
    14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39,
    46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// More scans than this are an attack on our time: each may visit every block for a few bits. Real files have ten.
const MAX_SCANS: usize = 500;

/// What a progressive frame with more rows than wanted may take while it is decoded.
const MAX_COEFFICIENT_BYTES: usize = 64 << 20;

/// One component of a frame.
pub(super) struct Component {
    id: u8,
    /// Blocks of one MCU, across and down.
    pub(super) sampling: (usize, usize),
    quantiser: usize,
    /// The table as it stood before the component's first scan.
    quantisers: Option<[u16; 64]>,
    /// Blocks that hold samples of the image.
    pub(super) blocks: (usize, usize),
    /// Blocks in a row of `coefficients`, padding to whole MCUs included.
    pub(super) stride: usize,
    /// Rows of blocks that are kept.
    pub(super) rows: usize,
    /// None where blocks are painted as they come.
    coefficients: Vec<[i16; 64]>,
    seen: bool,
}

impl Component {
    pub(super) fn block(&mut self, column: usize, row: usize) -> Option<&mut [i16; 64]> {
        if column >= self.stride {
            return None;
        }
        self.coefficients.get_mut(row.checked_mul(self.stride)?.checked_add(column)?)
    }

    pub(super) fn quantisers(&self) -> Result<&[u16; 64]> {
        self.quantisers.as_ref().ok_or_else(|| Error::format("a JPEG component has no quantisation table"))
    }
}

pub(super) struct Frame {
    progressive: bool,
    pub(super) height: usize,
    /// Across, down, and how many of the latter are kept.
    mcus: (usize, usize, usize),
    /// The largest sampling factors.
    pub(super) most: (usize, usize),
    pub(super) components: Vec<Component>,
    /// Whether the pixels have been written.
    painted: bool,
}

#[derive(Default)]
struct Tables {
    quantisers: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    restart_interval: usize,
}

/// What the caller knows of the image.
#[derive(Clone, Copy)]
pub(super) struct Shape {
    pub(super) width: usize,
    rows: usize,
    pub(super) samples_per_pixel: usize,
}

/// Where the pixels go.
struct Target<'a> {
    shape: Shape,
    ycbcr: bool,
    out: &'a mut [u8],
}

/// Fills `out` with pixels. `tables` is the tag JPEGTables. With `ycbcr` the result is RGB; else the components come
/// out as they are, whatever an Adobe or JFIF marker says: in TIFF, PhotometricInterpretation has the say.
pub(super) fn decompress(
    data: &[u8],
    tables: Option<&[u8]>,
    ycbcr: bool,
    width: usize,
    samples_per_pixel: usize,
    out: &mut [u8],
) -> Result<()> {
    let stride = width.saturating_mul(samples_per_pixel);
    let Some(rows) = out.len().checked_div(stride).filter(|&rows| rows > 0) else {
        return Ok(());
    };
    let shape = Shape { width, rows, samples_per_pixel };
    if ycbcr && samples_per_pixel != 3 {
        return Err(Error::unsupported(format!(
            "YCbCr JPEG has 3 samples per pixel, not {samples_per_pixel}"
        )));
    }
    let mut state = Tables::default();
    if let Some(tables) = tables {
        let frame = parse(tables, &mut state, None).map_err(|error| error.at("JPEGTables"))?;
        debug_assert!(frame.is_none(), "a frame is refused without a target");
        state.restart_interval = 0;
    }
    let mut target = Target { shape, ycbcr, out };
    let frame = parse(data, &mut state, Some(&mut target))?
        .ok_or_else(|| Error::format("the JPEG data hold tables but no image"))?;
    if frame.painted { Ok(()) } else { paint(&frame, target) }
}

/// The pixels of a frame whose coefficients came in several scans.
fn paint(frame: &Frame, target: Target<'_>) -> Result<()> {
    let Target { shape, ycbcr, out } = target;
    let mut canvas = Canvas::new(frame, shape, ycbcr, false, out)?;
    for y in 0..frame.mcus.2 {
        for (index, component) in frame.components.iter().enumerate() {
            let quantisers = component.quantisers()?;
            let (stride, v) = (component.stride, component.sampling.1);
            let blocks = component.coefficients.chunks_exact(stride.max(1));
            for (row, blocks) in blocks.skip(y.saturating_mul(v)).take(v).enumerate() {
                for (column, &coefficients) in blocks.iter().enumerate() {
                    let block = Block::new(coefficients, quantisers);
                    canvas.put(index, (column, row), &block, quantisers);
                }
            }
        }
        canvas.advance(y.saturating_add(1) == frame.mcus.2);
    }
    Ok(())
}

/// Reads segments up to EOI, or up to the end of the image's data. Without a target, tables only.
fn parse(data: &[u8], tables: &mut Tables, mut target: Option<&mut Target<'_>>) -> Result<Option<Frame>> {
    if !data.starts_with(&[0xff, 0xd8]) {
        return Err(Error::format("the JPEG data do not begin with SOI"));
    }
    let (mut at, mut scans) = (2_usize, 0_usize);
    let mut frame: Option<Frame> = None;
    loop {
        let marker = match data.get(at..) {
            // Fill bytes.
            Some([0xff, 0xff, ..]) => {
                at = at.saturating_add(1);
                continue;
            }
            Some([0xff, marker, ..]) => *marker,
            // No EOI: harmless behind mere tables.
            Some([]) | None if target.is_none() => return Ok(None),
            Some([_, _, ..]) => return Err(Error::format(format!("no JPEG marker is at byte {at}"))),
            _ => return Err(Error::format(format!("the JPEG data end at byte {at}, before the image does"))),
        };
        at = at.saturating_add(2);
        match marker {
            0xd9 => break,
            0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let len = match data.get(at..) {
            Some([high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
            _ => return Err(Error::format("the JPEG data end in a segment's header")),
        };
        let end = at.saturating_add(len);
        let Some(segment) = data.get(at.saturating_add(2)..end) else {
            return Err(Error::format(format!(
                "a JPEG segment (marker {marker:#04x}) has an impossible length of {len}"
            )));
        };
        at = end;
        match (marker, target.as_deref_mut()) {
            (0xdb, _) => read_quantisers(segment, tables)?,
            (0xc4, _) => read_huffman(segment, tables)?,
            (0xdd, _) => match segment {
                [high, low] => tables.restart_interval = usize::from(u16::from_be_bytes([*high, *low])),
                _ => return Err(Error::format("a JPEG restart interval has 2 bytes")),
            },
            (0xc0..=0xc2, Some(target)) => {
                if frame.is_some() {
                    return Err(Error::format("the JPEG data hold two frames"));
                }
                frame = Some(read_frame(segment, marker == 0xc2, target.shape)?);
            }
            (0xda, Some(target)) => {
                let frame =
                    frame.as_mut().ok_or_else(|| Error::format("a JPEG scan stands before its frame"))?;
                scans = scans.saturating_add(1);
                if scans > MAX_SCANS {
                    return Err(Error::limit(format!("the JPEG data hold more than {MAX_SCANS} scans")));
                }
                let mut bits = Bits::new(data, at);
                read_scan(segment, frame, tables, target, &mut bits)?;
                if !frame.progressive && frame.components.iter().all(|component| component.seen) {
                    break;
                }
                at = next_marker(data, bits.position());
            }
            (0xc0..=0xc2 | 0xda, None) => {
                return Err(Error::format("there is an image where only tables may be"));
            }
            (0xc3, _) => return Err(Error::unsupported("lossless JPEG (SOF3) is not supported")),
            (0xc5..=0xc7, _) => return Err(Error::unsupported("hierarchical JPEG is not supported")),
            (0xc9..=0xcf, _) => {
                return Err(Error::unsupported("JPEG with arithmetic coding is not supported"));
            }
            (0xdc, _) => {
                return Err(Error::unsupported(
                    "JPEG with its height behind the image (DNL) is not supported",
                ));
            }
            // Applications' markers and comments; what is reserved.
            _ => {}
        }
    }
    match &frame {
        Some(frame) if frame.components.iter().any(|component| !component.seen) => {
            Err(Error::format("the JPEG data end before all components have come"))
        }
        _ => Ok(frame),
    }
}

/// The first marker at or behind `at` that no scan contains.
fn next_marker(data: &[u8], at: usize) -> usize {
    let rest = data.get(at..).unwrap_or_default();
    let found = rest.windows(2).position(|pair| matches!(pair, [0xff, 0x01..=0xcf | 0xd8..=0xfe]));
    at.saturating_add(found.unwrap_or(rest.len()))
}

fn read_quantisers(mut segment: &[u8], tables: &mut Tables) -> Result<()> {
    while let Some((&kind, rest)) = segment.split_first() {
        let width = if kind >> 4 == 0 { 1_usize } else { 2 };
        let slot = tables.quantisers.get_mut(usize::from(kind & 15)).filter(|_| kind >> 4 < 2);
        let (Some(slot), Some((values, rest))) = (slot, rest.split_at_checked(width.saturating_mul(64)))
        else {
            return Err(Error::format("a JPEG quantisation table is short or has an impossible number"));
        };
        let mut table = [0; 64];
        for (value, &at) in values.chunks_exact(width).zip(&ZIGZAG) {
            let value = value.iter().fold(0_u16, |sum, &byte| sum << 8 | u16::from(byte));
            if let Some(entry) = table.get_mut(usize::from(at)) {
                *entry = value;
            }
        }
        *slot = Some(table);
        segment = rest;
    }
    Ok(())
}

fn read_huffman(mut segment: &[u8], tables: &mut Tables) -> Result<()> {
    let short = || Error::format("a JPEG Huffman table is short or has an impossible number");
    while let Some((&kind, rest)) = segment.split_first() {
        let class = match kind >> 4 {
            0 => &mut tables.dc,
            1 => &mut tables.ac,
            _ => return Err(short()),
        };
        let slot = class.get_mut(usize::from(kind & 15)).ok_or_else(short)?;
        let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(short)?;
        let total = counts.iter().map(|&count| usize::from(count)).sum();
        let (symbols, rest) = rest.split_at_checked(total).ok_or_else(short)?;
        *slot = Some(Huffman::new(*counts, symbols)?);
        segment = rest;
    }
    Ok(())
}

fn read_frame(segment: &[u8], progressive: bool, shape: Shape) -> Result<Frame> {
    let [precision, h1, h0, w1, w0, count, parts @ ..] = segment else {
        return Err(Error::format("a JPEG frame's header is short"));
    };
    if *precision != 8 {
        return Err(Error::unsupported(format!("JPEG with {precision} bits per sample is not supported")));
    }
    let (width, height) =
        (usize::from(u16::from_be_bytes([*w1, *w0])), usize::from(u16::from_be_bytes([*h1, *h0])));
    if width != shape.width || height < shape.rows || usize::from(*count) != shape.samples_per_pixel {
        return Err(Error::format(format!(
            "the JPEG data hold {width} x {height} pixels of {count} samples, not {} x {} of {}",
            shape.width, shape.rows, shape.samples_per_pixel
        )));
    }
    if *count > 4 || parts.len() != usize::from(*count).saturating_mul(3) {
        return Err(Error::unsupported(format!("a JPEG frame has 1 to 4 components, not {count}")));
    }
    let factors = |byte: u8| (usize::from(byte >> 4), usize::from(byte & 15));
    let sampling = || parts.chunks_exact(3).map(|part| factors(part.get(1).copied().unwrap_or(0)));
    let most = sampling().fold((1, 1), |most, own| (most.0.max(own.0), most.1.max(own.1)));
    if !sampling().all(|(h, v)| {
        (1..=4).contains(&h) && (1..=4).contains(&v) && most.0.is_multiple_of(h) && most.1.is_multiple_of(v)
    }) {
        return Err(Error::unsupported(
            "JPEG with sampling factors that do not divide each other is not supported",
        ));
    }
    let down = height.div_ceil(most.1.saturating_mul(8));
    // The row of MCUs below the last one wanted lends it chroma.
    let wanted = shape.rows.div_ceil(most.1.saturating_mul(8)).saturating_add(1);
    let mcus =
        (width.div_ceil(most.0.saturating_mul(8)), down, if progressive { down } else { down.min(wanted) });
    let blocks = sampling().map(|(h, v)| h.saturating_mul(v)).sum::<usize>().saturating_mul(mcus.0);
    if progressive && down > wanted && blocks.saturating_mul(down).saturating_mul(128) > MAX_COEFFICIENT_BYTES
    {
        return Err(Error::limit(format!(
            "a progressive JPEG of {height} rows stands for {} rows",
            shape.rows
        )));
    }
    let components = parts.chunks_exact(3).map(|part| {
        let [id, byte, quantiser] = *part else {
            return Err(Error::format("a JPEG frame's header is short"));
        };
        let (h, v) = factors(byte);
        let size =
            |size: usize, own: usize, most: usize| size.saturating_mul(own).div_ceil(most.max(1)).div_ceil(8);
        let (stride, rows) = (mcus.0.saturating_mul(h), mcus.2.saturating_mul(v));
        Ok(Component {
            id,
            sampling: (h, v),
            quantiser: usize::from(quantiser),
            blocks: (size(width, h, most.0), size(height, v, most.1)),
            stride,
            rows,
            quantisers: None,
            coefficients: Vec::new(),
            seen: false,
        })
    });
    let components = components.collect::<Result<_>>()?;
    Ok(Frame { progressive, height, mcus, most, components, painted: false })
}

fn read_scan(
    segment: &[u8],
    frame: &mut Frame,
    tables: &Tables,
    target: &mut Target<'_>,
    bits: &mut Bits<'_>,
) -> Result<()> {
    let wrong = || Error::format("a JPEG scan's header is short, or names what its frame does not have");
    let (&count, rest) = segment.split_first().ok_or_else(wrong)?;
    let (parts, rest) = rest.split_at_checked(usize::from(count).saturating_mul(2)).ok_or_else(wrong)?;
    let &[first, last, approximation] = rest else { return Err(wrong()) };
    let (high, low) = (u32::from(approximation >> 4), u32::from(approximation & 15));
    let band = (usize::from(first), usize::from(last));
    let sound = if frame.progressive {
        let shape = if band.0 == 0 { band.1 == 0 } else { band.0 <= band.1 && band.1 < 64 && count == 1 };
        shape && low <= 13 && (high == 0 || high == low.saturating_add(1))
    } else {
        // Some writers leave the band's fields empty; libjpeg does not mind either.
        true
    };
    if !sound || !(1..=4).contains(&count) {
        return Err(wrong());
    }
    let mut chosen: Vec<(usize, Option<&Huffman>, Option<&Huffman>)> = Vec::with_capacity(4);
    for part in parts.chunks_exact(2) {
        let &[id, selectors] = part else { return Err(wrong()) };
        let index = frame.components.iter().position(|component| component.id == id).ok_or_else(wrong)?;
        if chosen.iter().any(|&(other, _, _)| other == index) {
            return Err(wrong());
        }
        let component = frame.components.get_mut(index).ok_or_else(wrong)?;
        if component.seen && !frame.progressive {
            return Err(Error::format("a JPEG component comes twice"));
        }
        component.seen = true;
        if component.quantisers.is_none() {
            component.quantisers = tables.quantisers.get(component.quantiser).copied().flatten();
        }
        chosen.push((
            index,
            tables.dc.get(usize::from(selectors >> 4)).and_then(Option::as_ref),
            tables.ac.get(usize::from(selectors & 15)).and_then(Option::as_ref),
        ));
    }
    let whole = !frame.progressive && chosen.len() == frame.components.len();
    let single = chosen.len() == 1;
    let scan = Scan {
        progressive: frame.progressive,
        parts: chosen,
        band,
        approximation: (high, low),
        restart_interval: tables.restart_interval,
        mcus: (frame.mcus.0, frame.mcus.1),
        kept: frame.mcus.2,
    };
    if whole {
        let mut canvas = Canvas::new(frame, target.shape, target.ycbcr, single, target.out)?;
        jpeg_scan::paint(&scan, &frame.components, bits, &mut canvas)?;
        frame.painted = true;
        return Ok(());
    }
    for component in &mut frame.components {
        component.coefficients.resize(component.stride.saturating_mul(component.rows), [0; 64]);
    }
    jpeg_scan::decode(&scan, &mut frame.components, bits)
}

/// A complete baseline stream of 1, 3 or 4 components: YCbCr 4:2:0 of RGB with `ycbcr`, else the samples as they are.
/// The same data give the same bytes.
pub(super) fn compress(
    quality: u8,
    ycbcr: bool,
    width: usize,
    samples_per_pixel: usize,
    data: &[u8],
) -> Result<Vec<u8>> {
    if !(1..=100).contains(&quality) {
        return Err(Error::usage(format!("JPEG has qualities from 1 to 100, not {quality}")));
    }
    let colours = match samples_per_pixel {
        1 if !ycbcr => JpegColorType::Luma,
        3 => JpegColorType::Ycbcr,
        4 if !ycbcr => JpegColorType::Cmyk,
        _ => {
            return Err(Error::usage(format!(
                "JPEG is not written with {samples_per_pixel} samples per pixel"
            )));
        }
    };
    let stride = width.saturating_mul(samples_per_pixel);
    let rows = data.len().checked_div(stride).unwrap_or(0);
    let side = |value: usize| {
        u16::try_from(value)
            .ok()
            .filter(|&side| side > 0)
            .ok_or_else(|| Error::usage(format!("JPEG has sides of 1 to 65535 pixels, not {value}")))
    };
    let pixels =
        Pixels { width: side(width)?, height: side(rows)?, stride, samples_per_pixel, ycbcr, colours, data };
    let mut out = Vec::with_capacity((data.len() / 4).saturating_add(1024));
    let mut encoder = Encoder::new(&mut out, quality);
    encoder.set_sampling_factor(if ycbcr { SamplingFactor::F_2_2 } else { SamplingFactor::F_1_1 });
    encoder
        .encode_image(pixels)
        .map_err(|cause| Error::usage("JPEG refused to compress a tile").caused_by(cause))?;
    if samples_per_pixel == 3 && !ycbcr {
        // JFIF would mean YCbCr to readers that ask the stream, as tifffile does; libtiff asks the TIFF.
        let Some(&[0xff, 0xd8, 0xff, 0xe0, high, low]) = out.first_chunk::<6>() else {
            return Err(Error::usage("a JPEG stream was made without a JFIF marker"));
        };
        let end = usize::from(u16::from_be_bytes([high, low])).saturating_add(4).min(out.len());
        out.splice(2..end, *b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00");
    }
    Ok(out)
}

struct Pixels<'a> {
    width: u16,
    height: u16,
    stride: usize,
    samples_per_pixel: usize,
    ycbcr: bool,
    colours: JpegColorType,
    data: &'a [u8],
}

impl ImageBuffer for Pixels<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        self.colours
    }

    fn width(&self) -> u16 {
        self.width
    }

    fn height(&self) -> u16 {
        self.height
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        let start = usize::from(y).saturating_mul(self.stride);
        let row = self.data.get(start..start.saturating_add(self.stride)).unwrap_or_default();
        if self.ycbcr {
            for &[r, g, b] in row.as_chunks::<3>().0 {
                let (y, cb, cr) = jpeg_encoder::rgb_to_ycbcr(r, g, b);
                for (buffer, sample) in buffers.iter_mut().zip([y, cb, cr]) {
                    buffer.push(sample);
                }
            }
        } else {
            for pixel in row.chunks_exact(self.samples_per_pixel) {
                for (buffer, &sample) in buffers.iter_mut().zip(pixel) {
                    buffer.push(sample);
                }
            }
        }
    }
}
