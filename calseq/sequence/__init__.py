"""What an author asks for: catalogue, schema, reader, variants, lint, conversion."""
