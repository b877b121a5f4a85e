//! Compressions, both ways. Pure functions over bytes in memory.
