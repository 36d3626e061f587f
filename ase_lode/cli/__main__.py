"""`python -m ase_lode.cli`."""

from ase_lode.cli import main

if __name__ == "__main__":
    main()
