"""What a person sees on a terminal of a plan and of a run.

`view` folds, `screen` shows a run while it lasts, `summary` what stays of it, `planview` a plan.
Rich is imported by `live` alone, and only once a terminal is there to be drawn on.
"""
