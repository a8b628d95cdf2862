"""The program at the other end of a session: calls on stdin, answers on stdout, its log on stderr.

    python -m umbel.compute.remote --state-dir DIR [--user NAME] [--systemd]

It ends with its input; functions go on, and the next session finds them by their records.
"""

import argparse
import asyncio
import os
import pwd
import sys
from collections.abc import Sequence
from pathlib import Path

from umbel.compute.drivers.process import ProcessVim
from umbel.compute.remote.confinement import ConfinedVim, Confinement
from umbel.compute.remote.messages import LONGEST_LINE
from umbel.compute.remote.server import serve
from umbel.kit import log
from umbel.kit.clock import SystemClock


def main(words: Sequence[str]) -> None:
    """Serve until the input ends."""
    parser = argparse.ArgumentParser(prog="umbel.compute.remote")
    parser.add_argument("--state-dir", type=Path, required=True)
    parser.add_argument("--user", default="")
    parser.add_argument("--systemd", action="store_true")
    given = parser.parse_args(words)
    asyncio.run(_run(given.state_dir, given.user, has_systemd=given.systemd))


async def _run(state_dir: Path, user: str, *, has_systemd: bool) -> None:
    vim = ProcessVim(state_dir, SystemClock())
    how = _confinement(state_dir, user, has_systemd=has_systemd)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.streams.FlowControlMixin(loop=loop), sys.stdout
    )
    writer = asyncio.StreamWriter(transport, protocol, None, loop)
    await serve(ConfinedVim(vim, how), reader, writer)
    await vim.close()


def _confinement(state_dir: Path, user: str, *, has_systemd: bool) -> Confinement:
    """Functions of that user report readiness in a folder that is theirs, and see nothing else."""
    if not user:
        return Confinement(has_systemd=has_systemd)
    entry = pwd.getpwnam(user)
    home = state_dir / "home"
    home.mkdir(exist_ok=True)
    for folder in (state_dir / "ready", home):
        os.chown(folder, entry.pw_uid, entry.pw_gid)
    state_dir.chmod(0o711)
    return Confinement(
        user=entry.pw_uid, group=entry.pw_gid, has_systemd=has_systemd, home=str(home)
    )


if __name__ == "__main__":
    log.configure()
    main(sys.argv[1:])
