"""`python -m meshd`."""

from meshd.main import run

if __name__ == "__main__":
    run()
