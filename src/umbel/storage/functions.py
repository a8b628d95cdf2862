"""The storage function, described for compute: one process with a folder of its node."""

import sys
from pathlib import Path

from umbel.compute.model import (
    Description,
    HealthCheck,
    Port,
    Readiness,
    Reservation,
    Resources,
)

_COMMAND = (sys.executable, "-m", "umbel.repository.node_storage")
_CONTROL, _TLS = Port(name="control"), Port(name="tls")


def described(folder: Path, limit_mb: int) -> Description:
    """Shards are kept below `folder` in a folder with the node's name, `limit_mb` MiB at most."""
    return Description(
        name="storage",
        command=(
            *_COMMAND,
            *("--id", "{id}", "--address", "{address}"),
            *("--control-port", "{ports[control]}", "--tls-port", "{ports[tls]}"),
            *("--ready-file", "{ready_file}"),
            *("--folder", f"{folder}/{{node}}", "--limit-mb", str(limit_mb)),
        ),
        resources=Resources(cores=0.25, memory_mb=128.0),
        reservation=Reservation.UNTIL_MEASURED,
        ports=(_CONTROL, _TLS),
        readiness=Readiness.REPORTED,
        health=HealthCheck(port=_CONTROL.name, path="/healthz"),
    )
