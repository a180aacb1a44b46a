"""`python -m meshd`."""

from meshd.start import run

if __name__ == "__main__":
    run()
