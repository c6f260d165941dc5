"""`python -m calseq`."""

from calseq.cli import main

main()
