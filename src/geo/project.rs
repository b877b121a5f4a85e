//! GeoKeys (OGC 19-008r4 §7.1.4).
