"""The supplies: one protocol, and its backends."""
