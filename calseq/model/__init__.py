"""The values that all wings share: rails, verdicts, plan, events, upload destination; no file, no clock, nothing else of calseq."""
