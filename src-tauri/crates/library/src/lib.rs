//! Cases with their images, reports and labels, and the nearest-case index.
