"""Makes `python -m calseq.simulator` the stand-in `dirigent`."""

from calseq.simulator.dirigent import main

if __name__ == "__main__":
    main()
