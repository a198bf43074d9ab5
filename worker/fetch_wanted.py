"""`python -m worker.fetch_wanted ID DIGEST BYTES`: fetches one model of the library that a coordinator wants."""

import sys

import psutil

from shared.catalogue import library
from shared.errors import HiveError
from shared.home import hive_home
from worker.fetching import Asking, fetch, room_of


def main() -> None:
    """Exits with 1 and a sentence on stderr where it cannot be fetched."""
    name, digest, most = sys.argv[1:4]
    home = hive_home()
    asking = Asking(digest=digest, most_bytes=int(most))
    try:
        fetch(home, library()[name], room_of(home, psutil.virtual_memory().total), lambda _here, _all: None, asking)
    except HiveError as error:
        sys.exit(error.message)


if __name__ == "__main__":
    main()
