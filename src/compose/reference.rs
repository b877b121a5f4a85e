//! Composing pixel by pixel, with nothing in mind but the rules: what the fast way is held against.

use super::{Composer, Counts, Piece};
use crate::grid::{PixelRect, TileIndex};
use crate::plan::SourceValidity;
use crate::sample::{NoData, Sample};

/// What one sample of a piece reads as, in a plane, at a pixel of the source; `None` where no piece has it.
fn read<T: Sample>(pieces: &[Piece], plane: u16, sample: usize, (x, y): (u32, u32), sparse: T) -> Option<T> {
    let holds = |rect: PixelRect| (rect.x0..rect.x1).contains(&x) && (rect.y0..rect.y1).contains(&y);
    let piece = pieces.iter().rfind(|piece| piece.plane == plane && holds(piece.rect))?;
    let Some(tile) = &piece.tile else { return Some(sparse) };
    let width = (tile.rect.x1 - tile.rect.x0) as usize;
    let pixel = (y - tile.rect.y0) as usize * width + (x - tile.rect.x0) as usize;
    Some(T::unwrap_ref(&tile.samples)?[pixel * usize::from(tile.samples_per_pixel) + sample])
}

/// A tile's samples, their validity (0 or 1 a pixel) and the counts.
pub(super) fn compose<T: Sample>(
    composer: &Composer,
    index: TileIndex,
    pieces: &[Piece],
    masks: &[Piece],
) -> (Vec<T>, Vec<u8>, Counts) {
    let tile = composer.grid.tile;
    let (mut samples, mut validity, mut counts) = (Vec::new(), Vec::new(), Counts::default());
    for y in index.row * tile.height..(index.row + 1) * tile.height {
        for x in index.col * tile.width..(index.col + 1) * tile.width {
            let is_inside = composer.mask.runs(y).iter().any(|run| (run.start..run.end).contains(&x));
            if is_inside {
                let valid;
                (samples, valid) = pixel(composer, (x, y), pieces, masks, samples, &mut counts);
                validity.push(u8::from(valid));
            } else {
                samples.extend((0..composer.output_bands).map(|band| outside::<T>(composer, band)));
                validity.push(0);
            }
        }
    }
    (samples, validity, counts)
}

/// What a band holds outside the cutline.
fn outside<T: Sample>(composer: &Composer, band: usize) -> T {
    let fill = composer.fill.as_ref().and_then(NoData::sample);
    if composer.alpha == Some(band) { T::zeroed() } else { fill.unwrap_or(T::zeroed()) }
}

/// Adds a pixel of the cutline.
fn pixel<T: Sample>(
    composer: &Composer,
    at: (u32, u32),
    pieces: &[Piece],
    masks: &[Piece],
    mut samples: Vec<T>,
    counts: &mut Counts,
) -> (Vec<T>, bool) {
    let source = (at.0 + composer.window.x0, at.1 + composer.window.y0);
    let fill: Option<T> = composer.fill.as_ref().and_then(NoData::sample);
    let sparse = composer.sparse.as_ref().and_then(NoData::of_sparse).unwrap_or(T::zeroed());
    let lies = |band: u16| if composer.planar { (band, 0) } else { (0, usize::from(band)) };
    let mut pixel: Vec<T> = (0..composer.output_bands).map(|band| outside(composer, band)).collect();
    for (to, &band) in composer.bands.iter().enumerate() {
        let (plane, sample) = lies(band);
        pixel[to] = read(pieces, plane, sample, source, sparse).unwrap_or(pixel[to]);
    }
    if let Some(coverage) = &composer.coverage {
        let mut share = [0.0];
        coverage.shares.fill_row(at.1, at.0, &mut share);
        let share = f64::from(if coverage.inverted { 1.0 - share[0] } else { share[0] });
        let value = T::from_f64_nearest(share * f64::from(coverage.unit));
        let is_fill = fill.is_some_and(|fill| value.is_nodata(fill));
        pixel[coverage.band] = if is_fill { value.neighbour() } else { value };
    }
    counts.inside += 1;
    let tells = composer.keeps_mask || composer.alpha.is_some();
    if composer.source == SourceValidity::All && !tells && !composer.fill_is_new {
        counts.valid += 1;
        samples.extend(pixel);
        return (samples, true);
    }
    let nodata: Option<T> = match &composer.source {
        SourceValidity::NoData(nodata) => nodata.sample(),
        SourceValidity::Mask | SourceValidity::Alpha(_) | SourceValidity::All => None,
    };
    let mut valid = match composer.source {
        SourceValidity::Mask => read::<u8>(masks, 0, 0, source, 0).is_some_and(|v| v != 0),
        SourceValidity::Alpha(band) => {
            let (plane, sample) = lies(band);
            read::<T>(pieces, plane, sample, source, T::zeroed()).is_some_and(|v| !v.same(T::zeroed()))
        }
        SourceValidity::NoData(_) | SourceValidity::All => true,
    };
    let coverage = composer.coverage.as_ref().map(|coverage| coverage.band);
    let is_data = |band: usize| composer.alpha != Some(band) && coverage != Some(band);
    let data: Vec<usize> = (0..pixel.len()).filter(|&band| is_data(band)).collect();
    let missing: Vec<usize> =
        data.iter().copied().filter(|&b| nodata.is_some_and(|nodata| pixel[b].is_nodata(nodata))).collect();
    for band in data.iter().filter(|band| !missing.contains(band)) {
        let is_lost = fill.is_some_and(|fill| pixel[*band].is_nodata(fill));
        counts.hidden += u64::from(is_lost && valid && !composer.keeps_mask);
    }
    if !missing.is_empty() && missing.len() == data.len() {
        valid = false;
    } else if composer.keeps_mask || composer.add_alpha {
        counts.partial += missing.len() as u64;
    }
    if let (Some(fill), true) = (fill, composer.fill_is_new) {
        for &band in &missing {
            pixel[band] = fill;
        }
    }
    counts.valid += u64::from(valid);
    let says_itself = composer.keeps_mask || nodata.is_some();
    for (band, sample) in pixel.iter_mut().enumerate() {
        if composer.alpha == Some(band) {
            if composer.add_alpha && valid {
                *sample = T::from_f64_nearest(composer.opaque);
            } else if !valid && (composer.add_alpha || !says_itself) {
                *sample = T::zeroed();
            }
        } else if !valid && !says_itself {
            *sample = fill.unwrap_or(*sample);
        }
    }
    samples.extend(pixel);
    (samples, valid)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cutline::Polygon;
    use crate::geo::Affine;
    use crate::grid::{Size, TileGrid};
    use crate::limits::Limits;
    use crate::mask::{Coverage, Mask, Rule};
    use crate::plan::CoverageBand;
    use crate::sample::{SampleType, Samples, with_sample_type};
    use crate::tile::DecodedTile;

    /// Numbers that look random (Knuth's MMIX generator).
    struct Random(u64);

    impl Random {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % end
        }

        fn one_in(&mut self, n: usize) -> bool {
            self.below(n) == 0
        }

        fn of<T: Clone>(&mut self, values: &[T]) -> T {
            values[self.below(values.len())].clone()
        }
    }

    /// Values that are nodata here and there; the last two within a float's tolerance of 7, and its opposite of 0.
    const VALUES: [f64; 8] = [0.0, 7.0, 7.0, 3.0, 255.0, f64::NAN, 7.000_000_5, -0.0];

    fn tile<T: Sample>(random: &mut Random, index: TileIndex, rect: PixelRect, depth: u16) -> DecodedTile {
        let len = usize::try_from(rect.size().pixels()).unwrap() * usize::from(depth);
        // All alike, one value a pixel, or any.
        let (one, kind) = (random.of(&VALUES), random.below(4));
        let mut last = one;
        let samples = (0..len).map(|at| {
            last = match kind {
                0 => one,
                1 if at % usize::from(depth) != 0 => last,
                _ => random.of(&VALUES),
            };
            T::from_f64_nearest(last)
        });
        let samples = T::wrap(samples.collect());
        DecodedTile { index, plane: 0, rect, samples_per_pixel: depth, samples }
    }

    fn pieces<T: Sample>(random: &mut Random, grid: TileGrid, planes: u16, depth: u16) -> Vec<Piece> {
        let sparse = random.of(&[4, usize::MAX]);
        let mut pieces = Vec::new();
        for index in grid.tiles_in(PixelRect::of(grid.image)) {
            for plane in 0..planes {
                let rect = grid.rect(index);
                let tile = DecodedTile { plane, ..tile::<T>(random, index, rect, depth) };
                let tile = (!random.one_in(sparse)).then(|| Arc::new(tile));
                pieces.push(Piece { plane, rect, tile });
            }
        }
        pieces
    }

    /// The window's pixels in some triangles, in none or in all.
    fn polygons(random: &mut Random, size: Size) -> Vec<Polygon> {
        let (width, height) = (size.width as usize, size.height as usize);
        if random.one_in(4) {
            let [w, h] = [f64::from(size.width), f64::from(size.height)];
            return vec![Polygon { rings: vec![vec![[0.0, 0.0], [w, 0.0], [w, h], [0.0, h], [0.0, 0.0]]] }];
        }
        let mut number = |end: usize| f64::from(u32::try_from(random.below(end + 1)).unwrap());
        let mut ring = || (0..3).map(|_| [number(width), number(height)]).collect::<Vec<_>>();
        (0..3).map(|_| Polygon { rings: vec![ring()] }).collect()
    }

    fn composer(random: &mut Random, sample_type: SampleType, source: Size) -> (Composer, u16) {
        let source_bands = 1 + u16::try_from(random.below(4)).unwrap();
        let mut bands: Vec<u16> = (0..source_bands).collect();
        if random.one_in(3) {
            bands = (0..=random.below(3)).map(|_| random.of(&bands)).collect();
        }
        let window = PixelRect::new(3, 5, source.width - 2, source.height);
        let polygons = polygons(random, window.size());
        let limits = Limits::default();
        let mask = Mask::burn(&polygons, &Affine::IDENTITY, window.size(), Rule::Centre, &limits).unwrap();
        let coverage = (!sample_type.is_complex() && random.one_in(4)).then(|| CoverageBand {
            shares: Arc::new(Coverage::burn(&polygons, &Affine::IDENTITY, window.size(), &limits).unwrap()),
            inverted: random.one_in(2),
            band: bands.len(),
            unit: 7,
        });
        let add_alpha = random.one_in(4);
        let own = bands.len() + usize::from(coverage.is_some());
        let alpha = if add_alpha { Some(own) } else { random.one_in(4).then(|| random.below(bands.len())) };
        let value = |random: &mut Random| NoData::new(random.of(&["0", "7", "nan", "3"])).unwrap();
        let fill = (!random.one_in(3)).then(|| value(random));
        let source = match random.below(5) {
            0 => SourceValidity::All,
            1 => SourceValidity::Mask,
            2 => SourceValidity::Alpha(u16::try_from(random.below(usize::from(source_bands))).unwrap()),
            _ => SourceValidity::NoData(value(random)),
        };
        let tile = random.of(&[Size::new(16, 12), Size::new(5, 4), Size::new(1040, 3)]);
        let composer = Composer {
            sample_type,
            window,
            grid: TileGrid { image: window.size(), tile },
            mask: Arc::new(mask),
            planar: random.one_in(3),
            bands,
            output_bands: own + usize::from(add_alpha),
            alpha,
            add_alpha,
            coverage,
            source,
            sparse: random.of(&[NoData::new("7"), None]),
            fill_is_new: fill.is_some() && random.one_in(2),
            fill,
            keeps_mask: random.one_in(3),
            opaque: 127.0,
        };
        (composer, source_bands)
    }

    #[test]
    fn a_tile_is_what_its_pixels_are_one_by_one() {
        let mut random = Random(1);
        let (mut tiles, mut total, mut grounds) = (0, Counts::default(), 0);
        for round in 0..600 {
            let sample_type = SampleType::ALL[round % SampleType::ALL.len()];
            let wide = random.one_in(8);
            let source = if wide { Size::new(1100, 14) } else { Size::new(41, 34) };
            let (composer, bands) = composer(&mut random, sample_type, source);
            let grid = TileGrid { image: source, tile: random.of(&[Size::new(13, 9), Size::new(2000, 6)]) };
            let (planes, depth) = if composer.planar { (bands, 1) } else { (1, bands) };
            let masks = pieces::<u8>(&mut random, grid, 1, 1);
            with_sample_type!(sample_type, T => {
                let pieces = pieces::<T>(&mut random, grid, planes, depth);
                let ground = composer.ground();
                for index in composer.grid.tiles_in(PixelRect::of(composer.grid.image)) {
                    let (tile, counts) = composer.compose(index, &pieces, &masks);
                    let (samples, valid, expected) = compose::<T>(&composer, index, &pieces, &masks);
                    let place = || format!("round {round}, tile at {index}: {composer:?}");
                    assert_eq!(tile.samples.as_bytes(), bytemuck::cast_slice::<T, u8>(&samples), "{}", place());
                    let kept = composer.keeps_mask || composer.alpha.is_some();
                    assert_eq!(tile.valid, kept.then_some(valid), "{}", place());
                    assert_eq!(counts, expected, "{}", place());
                    let is_ground = tile.samples.as_bytes() == ground.samples.as_bytes() && tile.valid == ground.valid;
                    assert_eq!(composer.is_ground(&tile), is_ground, "{}", place());
                    tiles += 1;
                    total += counts;
                    grounds += usize::from(is_ground);
                }
            });
        }
        // Each of the counts has been at work.
        assert!(tiles > 3_000 && grounds > 300, "{tiles} tiles, {grounds} of them ground");
        assert!(total.valid.min(total.inside - total.valid).min(total.hidden).min(total.partial) > 1_000);
    }

    #[test]
    fn ground_is_ground_to_the_last_bit() {
        let mut random = Random(2);
        let size = Size::new(41, 34);
        for _ in 0..100 {
            let sample_type = random.of(SampleType::ALL);
            let (composer, _) = composer(&mut random, sample_type, size);
            let ground = composer.ground();
            assert!(composer.is_ground(&ground));
            let mut tile = ground.clone();
            let bytes = tile.samples.as_bytes_mut();
            let at = random.below(bytes.len());
            bytes[at] ^= 1 << random.below(8);
            assert!(!composer.is_ground(&tile), "byte {at} of {composer:?}");
            if let Some(valid) = &ground.valid {
                let mut tile = ground.clone();
                let at = random.below(valid.len());
                tile.valid.iter_mut().for_each(|valid| valid[at] = 1);
                assert!(!composer.is_ground(&tile), "pixel {at} of {composer:?}");
            }
            let len = ground.samples.len();
            for samples in [Samples::zeroed(sample_type, len - 1), Samples::zeroed(sample_type, 0)] {
                assert!(
                    !composer.is_ground(&super::super::MaskedTile { samples, valid: ground.valid.clone() })
                );
            }
        }
    }
}
