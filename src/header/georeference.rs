//! Where a raster lies: geotransform or ground control points, GeoKeys (OGC 19-008r4 §7.1).

use crate::error::Result;
use crate::geo::keys::RasterType;
use crate::geo::{Affine, Crs, GeoKeys};
use crate::tiff::code::tag;
use crate::tiff::{Ifd, Value};

/// A ModelTransformation that changes nothing.
const MATRIX: [f64; 16] = [1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0];

/// Where a raster lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Georeference {
    /// Pixel to world, in GDAL's convention (the corner of the first pixel is (0, 0), whatever the raster
    /// type); `None` when the file has none.
    pub transform: Option<Affine>,
    /// Tiepoints that are ground control points, because there is no geotransform: column, row, level, x, y, z
    /// as the file holds them.
    pub gcps: Vec<[f64; 6]>,
    /// Height of the first tiepoint and scale of the third axis, when the geotransform came from a scale.
    pub vertical: Option<(f64, f64)>,
    /// Whether the file wrote its geotransform as a matrix (ModelTransformationTag).
    pub matrix: Option<[f64; 16]>,
    /// The GeoKeys, as the file holds them.
    pub keys: Option<GeoKeys>,
    /// GTRasterTypeGeoKey is PixelIsPoint: tiepoints are centres of pixels.
    pub pixel_is_point: bool,
    /// RPCCoefficientTag, 92 numbers.
    pub rpc: Option<Vec<f64>>,
}

impl Georeference {
    /// From the fields of the first directory.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] for GeoKeys that contradict themselves.
    pub fn parse(ifd: &Ifd) -> Result<Self> {
        let keys = match ifd.value(tag::GEO_KEY_DIRECTORY) {
            None => None,
            Some(directory) => Some(GeoKeys::parse(
                directory
                    .u64s()
                    .unwrap_or_default()
                    .iter()
                    .map(|&v| u16::try_from(v).unwrap_or(u16::MAX))
                    .collect(),
                ifd.doubles(tag::GEO_DOUBLE_PARAMS).unwrap_or_default(),
                ifd.value(tag::GEO_ASCII_PARAMS).map(|v| v.bytes.to_vec()).unwrap_or_default(),
            )?),
        };
        let pixel_is_point = keys.as_ref().and_then(GeoKeys::raster_type) == Some(RasterType::PixelIsPoint);
        let scale = ifd.doubles(tag::MODEL_PIXEL_SCALE).unwrap_or_default();
        let ties: Vec<[f64; 6]> = ifd
            .doubles(tag::MODEL_TIEPOINT)
            .unwrap_or_default()
            .chunks_exact(6)
            .filter_map(|tie| tie.try_into().ok())
            .collect();
        let matrix: Option<[f64; 16]> =
            ifd.doubles(tag::MODEL_TRANSFORMATION).and_then(|m| m.try_into().ok());
        let mut this = Self {
            transform: None,
            gcps: Vec::new(),
            vertical: None,
            matrix: None,
            keys,
            pixel_is_point,
            rpc: ifd.doubles(tag::RPC_COEFFICIENT).filter(|rpc| rpc.len() == 92),
        };
        let mut transform = None;
        if let (&[sx, sy, ..], Some(&[col, row, _, x, y, z])) = (scale.as_slice(), ties.first())
            && sx != 0.0
            && sy != 0.0
        {
            let sy = sy.abs();
            transform = Some(Affine([x - col * sx, sx, 0.0, y + row * sy, 0.0, -sy]));
            this.vertical = Some((z, scale.get(2).copied().unwrap_or(0.0)));
        } else if let Some(m) = matrix {
            transform = Some(Affine([m[3], m[0], m[1], m[7], m[4], m[5]]));
            this.matrix = Some(m);
        } else {
            this.gcps = ties;
        }
        // A tiepoint of PixelIsPoint is the centre of a pixel: GDAL's corner lies half a pixel before it.
        this.transform = transform.map(|t| if pixel_is_point { t.shifted(-0.5, -0.5) } else { t });
        Ok(this)
    }

    /// The CRS.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Format`] or [`crate::ErrorKind::Unsupported`] when the GeoKeys name one that is not
    /// understood.
    pub fn crs(&self) -> Result<Option<Crs>> {
        self.keys.as_ref().map_or(Ok(None), GeoKeys::crs)
    }

    /// The fields that say the same of a window whose first pixel is `(col, row)`.
    #[must_use]
    pub fn fields_of_window(&self, col: u32, row: u32) -> Vec<(u16, Value)> {
        let (col, row) = (f64::from(col), f64::from(row));
        let mut fields = Vec::new();
        if let Some(transform) = self.transform {
            let half = if self.pixel_is_point { 0.5 } else { 0.0 };
            let moved = transform.shifted(col + half, row + half);
            let gt = &moved.0;
            if let Some((z, scale_z)) = self.vertical
                && !transform.is_rotated()
            {
                fields.push((tag::MODEL_PIXEL_SCALE, Value::doubles(&[gt[1], -gt[5], scale_z])));
                fields.push((tag::MODEL_TIEPOINT, Value::doubles(&[0.0, 0.0, 0.0, gt[0], gt[3], z])));
            } else {
                fields.push((tag::MODEL_TRANSFORMATION, matrix(self.matrix.unwrap_or(MATRIX), &moved)));
            }
        } else if !self.gcps.is_empty() {
            let moved: Vec<f64> =
                self.gcps.iter().flat_map(|&[c, r, l, x, y, z]| [c - col, r - row, l, x, y, z]).collect();
            fields.push((tag::MODEL_TIEPOINT, Value::doubles(&moved)));
        } else if (col, row) != (0.0, 0.0) {
            // A raster without any georeference lies at its own pixels, as in rasterio. A part of it says which part,
            // by a matrix: GDAL reads it back as (1, 0, col, 0, 1, row).
            let half = if self.pixel_is_point { 0.5 } else { 0.0 };
            let moved = Affine::IDENTITY.shifted(col + half, row + half);
            fields.push((tag::MODEL_TRANSFORMATION, matrix(MATRIX, &moved)));
        }
        if let Some(keys) = &self.keys {
            fields.push((tag::GEO_KEY_DIRECTORY, Value::shorts(&keys.directory)));
            if !keys.doubles.is_empty() {
                fields.push((tag::GEO_DOUBLE_PARAMS, Value::doubles(&keys.doubles)));
            }
            if !keys.ascii.is_empty() {
                fields.push((tag::GEO_ASCII_PARAMS, Value::ascii_bytes(&keys.ascii)));
            }
        }
        if let Some(rpc) = &self.rpc {
            // RPC 0 and 1 are error estimates; 2 and 3 the offsets of line and sample, which move with the
            // window (RPCs in GeoTIFF, §"RPCCoefficientTag").
            let mut rpc = rpc.clone();
            for (at, by) in [(2, row), (3, col)] {
                if let Some(value) = rpc.get_mut(at) {
                    *value -= by;
                }
            }
            fields.push((tag::RPC_COEFFICIENT, Value::doubles(&rpc)));
        }
        fields
    }
}

/// A ModelTransformation like `matrix`, with the horizontal part of a geotransform.
fn matrix(mut matrix: [f64; 16], transform: &Affine) -> Value {
    let gt = &transform.0;
    (matrix[0], matrix[1], matrix[3]) = (gt[1], gt[2], gt[0]);
    (matrix[4], matrix[5], matrix[7]) = (gt[4], gt[5], gt[3]);
    Value::doubles(&matrix)
}
