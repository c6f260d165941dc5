"""The machine: clock, files opened safely, processes, signals, locks, shipped files."""
