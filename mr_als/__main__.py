"""`python -m mr_als` is `mr-als`."""

from mr_als.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
