"""The run folder: written, read back, followed, sealed; what its events add up to; it alone knows its file names."""
