"""The version of calseq."""

__version__ = "0.2.0"
