//! Which of a raster's levels a picture is made from, and how large it becomes.

use crate::grid::Size;
use crate::header::{Header, Image};
use crate::sample::SampleType;

/// What is chosen of a raster for a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Level {
    /// The overview, by its number in the header from 0 (the largest); `None` for the image itself.
    pub overview: Option<usize>,
    /// Its size in pixels.
    pub size: Size,
    /// Why smaller overviews that are large enough were passed over.
    pub remarks: Vec<String>,
}

impl Level {
    /// The smallest level whose longer side is at least `longer` pixels, which is at least 1; the image itself where no overview
    /// is so large. Overviews that would look different are passed over: of another shape or sample type, or without a mask where
    /// the image has one.
    #[must_use]
    pub fn choose(header: &Header, longer: u32) -> Self {
        let mut remarks = Vec::new();
        // From the smallest on.
        for (number, (overview, mask)) in header.overviews.iter().enumerate().rev() {
            let size = overview.size();
            if size.width.max(size.height) < longer {
                continue;
            }
            match differs(header, overview, mask.as_ref()) {
                None => return Self { overview: Some(number), size, remarks },
                Some(why) => remarks.push(format!("the overview of {size} pixels is not used: {why}")),
            }
        }
        Self { overview: None, size: header.main.size(), remarks }
    }

    /// The header of the level as if it were the only one.
    #[must_use]
    pub fn header(&self, header: &Header) -> Header {
        let mut own = Header { overviews: Vec::new(), ..header.clone() };
        if let Some((image, mask)) = self.overview.and_then(|number| header.overviews.get(number)) {
            (own.main, own.mask) = (image.clone(), mask.clone());
            // Its inks are read as those of the image are.
            own.main.layout.cmyk = header.main.layout.cmyk;
        }
        own
    }
}

/// Why an overview does not look like the image; `None` when it does.
fn differs(header: &Header, overview: &Image, mask: Option<&Image>) -> Option<&'static str> {
    let (main, small) = (&header.main, overview.size());
    if small.width > main.size().width || small.height > main.size().height || !is_alike(main.size(), small) {
        return Some("it has another shape");
    }
    if (overview.layout.sample_type, overview.layout.bits) != (main.layout.sample_type, main.layout.bits) {
        return Some("it has other samples");
    }
    if main.layout.cmyk && overview.planes > 1 {
        return Some("it is CMYK in separate planes");
    }
    if header.mask.is_some() {
        let is_mask = |mask: &Image| mask.bands == 1 && mask.layout.sample_type == SampleType::U8;
        return (!mask.is_some_and(is_mask)).then_some("it has no mask, and the image has one");
    }
    None
}

/// Whether `small` can be `large` at another scale: writers round each side up or down, at every halving.
fn is_alike(large: Size, small: Size) -> bool {
    let [width, height, w, h] = [large.width, large.height, small.width, small.height].map(f64::from);
    // What two pixels of one side are on the other.
    (h - height * w / width).abs() <= 2.0 * (1.0 + height / width)
        || (w - width * h / height).abs() <= 2.0 * (1.0 + width / height)
}

/// `size` shrunk so that its longer side is at most `longer` pixels, which is at least 1; the shorter side to the nearest pixel,
/// and at least 1.
#[must_use]
pub fn fitted(size: Size, longer: u32) -> Size {
    let long = u64::from(size.width.max(size.height));
    if long <= u64::from(longer) {
        return size;
    }
    let scaled = |side: u32| {
        // At most `longer`.
        let nearest = (2 * u64::from(side) * u64::from(longer) + long) / (2 * long);
        u32::try_from(nearest).unwrap_or(longer).max(1)
    };
    Size::new(scaled(size.width), scaled(size.height))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::tiff::parse::Fetched;

    fn header(name: &str) -> Header {
        let file = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name);
        let bytes = std::fs::read(file).unwrap();
        let mut fetched = Fetched::new(bytes.len() as u64);
        fetched.insert(0, bytes.into());
        Header::parse(&fetched, &Limits::default()).unwrap_or_else(|_| panic!("{name} is a raster"))
    }

    #[test]
    fn the_smallest_level_that_fits_is_chosen() {
        // 144 pixels wide, with overviews of half and a quarter.
        let header = header("overviews-at-end-u16.tif");
        let (long, halves) = (header.main.size().width, header.overviews.len());
        assert_eq!((long, halves), (144, 2));
        for (longer, expected) in
            [(1, Some(1)), (36, Some(1)), (37, Some(0)), (72, Some(0)), (73, None), (4000, None)]
        {
            let level = Level::choose(&header, longer);
            assert_eq!((level.overview, level.remarks.len()), (expected, 0), "{longer}");
            assert_eq!(level.header(&header).main.size(), level.size);
        }
    }

    #[test]
    fn an_overview_that_looks_different_is_passed_over() {
        let mut masked = header("cog-i16-mask.tif");
        assert_eq!(Level::choose(&masked, 10).overview, Some(masked.overviews.len() - 1));
        for (_, mask) in &mut masked.overviews {
            *mask = None;
        }
        let level = Level::choose(&masked, 10);
        assert_eq!((level.overview, level.remarks.len()), (None, masked.overviews.len()));
        assert!(level.remarks[0].ends_with("it has no mask, and the image has one"), "{:?}", level.remarks);
        let mut plain = header("overviews-at-end-u16.tif");
        plain.overviews[1].0.grid.image = Size::new(50, 100);
        plain.overviews[0].0.layout.sample_type = SampleType::I16;
        let level = Level::choose(&plain, 10);
        assert_eq!((level.overview, level.remarks.len()), (None, 2));
    }

    #[test]
    fn shapes_are_alike_however_a_writer_rounds() {
        for (large, small) in [((1000, 3), (63, 1)), ((3, 1000), (1, 63)), ((10_001, 7001), (157, 110))] {
            let [large, small] = [large, small].map(|(width, height)| Size::new(width, height));
            assert!(is_alike(large, small), "{large}, {small}");
        }
        assert!(!is_alike(Size::new(1000, 1000), Size::new(100, 120)));
    }

    #[test]
    fn the_longer_side_fits_and_the_shape_stays() {
        let check = |of: (u32, u32), longer, expected: (u32, u32)| {
            let fitted = fitted(Size::new(of.0, of.1), longer);
            assert_eq!((fitted.width, fitted.height), expected, "{of:?} in {longer}");
        };
        check((300, 200), 300, (300, 200));
        check((300, 200), 4000, (300, 200));
        check((301, 200), 300, (300, 199));
        check((200, 301), 150, (100, 150));
        check((100_000, 3), 1024, (1024, 1));
        check((i32::MAX.cast_unsigned(), 5), u32::MAX, (i32::MAX.cast_unsigned(), 5));
        check((i32::MAX.cast_unsigned(), i32::MAX.cast_unsigned()), 1, (1, 1));
    }
}
