"""The guard process and its backends, reached through one protocol."""
