//! DICOM and raster images to frames, geometry and the display pipeline.
