"""A file's text as data with the place of everything; schema, fixes, layout; knows YAML and JSON, no calibration."""
