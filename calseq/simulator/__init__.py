"""The stand-in for dirigent and for the supplies, as subprocess and backend."""
