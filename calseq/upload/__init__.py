"""Results on their way to the database: once, at the end, without a person sitting there."""
