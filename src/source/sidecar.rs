//! Files beside a local raster that GDAL would read with it. They are not followed; that they are there is worth a word.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What a file beside a raster holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SidecarKind {
    /// `.aux.xml`: GDAL's persistent auxiliary metadata, which may give a CRS, nodata, statistics.
    Metadata,
    /// `.msk`: a mask.
    Mask,
    /// `.ovr`: overviews.
    Overviews,
    /// `.tfw`, `.tifw`, `.wld`: a geotransform.
    WorldFile,
}

impl SidecarKind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::Mask => "mask",
            Self::Overviews => "overviews",
            Self::WorldFile => "world file",
        }
    }
}

/// A file beside a raster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sidecar {
    /// What it holds.
    pub kind: SidecarKind,
    /// Where it is.
    pub path: PathBuf,
}

/// Those beside a file.
pub(super) fn beside(path: &Path) -> Vec<Sidecar> {
    let appended = |end: &str| {
        let mut name = OsString::from(path);
        name.push(end);
        PathBuf::from(name)
    };
    let mut candidates = vec![
        (SidecarKind::Metadata, appended(".aux.xml")),
        (SidecarKind::Mask, appended(".msk")),
        (SidecarKind::Mask, appended(".MSK")),
        (SidecarKind::Overviews, appended(".ovr")),
        (SidecarKind::Overviews, appended(".OVR")),
    ];
    // World files take the first and the last letter of the extension and a w, or the extension and a w.
    let mut ends = vec!["wld".to_owned()];
    if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
        let mut letters = extension.chars();
        if let (Some(first), Some(last)) = (letters.next(), letters.next_back()) {
            ends.push(format!("{first}{last}w"));
        }
        ends.push(format!("{extension}w"));
    }
    for end in ends {
        for end in [end.to_lowercase(), end.to_uppercase()] {
            candidates.push((SidecarKind::WorldFile, path.with_extension(end)));
        }
    }
    let mut found: Vec<Sidecar> = Vec::new();
    for (kind, path) in candidates {
        // Where upper and lower case are one, a file is found twice.
        let again = |other: &Sidecar| {
            other.path.as_os_str().eq_ignore_ascii_case(path.as_os_str()) && other.path.exists()
        };
        if path.is_file() && !found.iter().any(again) {
            found.push(Sidecar { kind, path });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let found = |name: &str| -> Vec<(SidecarKind, String)> {
            let name_of = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
            beside(&path(name)).iter().map(|side| (side.kind, name_of(&side.path))).collect()
        };
        for name in ["a.tif", "a.txt", "b.tif.msk", "a.jgw"] {
            std::fs::write(path(name), "").unwrap();
        }
        // A folder is no sidecar.
        std::fs::create_dir(path("a.tif.ovr")).unwrap();
        assert_eq!(found("a.tif"), []);
        for name in ["a.tif.aux.xml", "a.tif.msk", "a.tfw", "a.TIFW", "a.wld"] {
            std::fs::write(path(name), "").unwrap();
        }
        let kinds: Vec<_> = found("a.tif").into_iter().map(|(_, name)| name).collect();
        assert_eq!(kinds, ["a.tif.aux.xml", "a.tif.msk", "a.wld", "a.tfw", "a.TIFW"]);
        assert_eq!(found("b.tif"), [(SidecarKind::Mask, "b.tif.msk".to_owned())]);
        assert_eq!(found("b"), []);
    }
}
