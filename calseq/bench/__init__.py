"""A test stand as its files describe it."""
