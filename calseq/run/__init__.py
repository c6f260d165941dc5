"""A plan carried out: the only wing that starts dirigent and moves rails."""
