"""Write the vectors again: `python -m tests.vectors`."""

from tests import vectors

if __name__ == "__main__":
    vectors.write()
