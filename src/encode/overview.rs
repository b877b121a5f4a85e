//! Overviews: halving a block of pixels.
