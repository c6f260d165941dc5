"""Problems: what is wrong, where, its cure, and its forms for people and programs (`formats/`)."""
