"""Verify Gatehouse recordings: `python3 verify.py FILE... --key PUB`."""

import sys

from ghr.cli import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
