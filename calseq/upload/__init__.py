"""Results to their database, each once."""
