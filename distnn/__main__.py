"""``python -m distnn`` is ``distnn``."""

from distnn.cli.main import main

if __name__ == "__main__":
    main()
