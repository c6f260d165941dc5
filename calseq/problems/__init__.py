"""What is wrong, where, what mends it, and how that is told to people and programs (`formats/`)."""
