"""A stand-in for `dirigent` and for the supplies: the demo and the test bench."""
