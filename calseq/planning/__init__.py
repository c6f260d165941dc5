"""Everything decided: from what was typed to a plan; what a resumed run keeps; whether to bias."""
