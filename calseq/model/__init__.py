"""The values everybody speaks of: rails, verdicts, plan, events, upload destination; no file, no clock, nothing else of calseq."""
