"""What must be known of a function after the control plane died: one small JSON file each.

STATE_DIR/functions/ID.json is ours; STATE_DIR/ready/ID.json is the function's own report that it
listens. Files appear whole or not at all. A record holds no environment: that may be secret.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog
from pydantic import TypeAdapter

from umbel.compute.model import HealthCheck, Port, Readiness
from umbel.kit import private
from umbel.kit.errors import Invalid

log = structlog.get_logger(__name__)

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class BadFunctionId(Invalid):
    """The function's id cannot be a file's name."""

    code = "umbel.bad_function_id"


@dataclass(frozen=True, kw_only=True)
class Record:
    """A function as it was last started, with what is needed of its description to watch it.

    `pid` 0: no process known. `ports`: what it last listened on, kept for its next start,
    within `port_range` where its node has one.
    `is_ready`: this process was ready. `reason`: why it failed."""

    id: str
    owner: str
    description: str
    node: str
    address: str
    wants: tuple[Port, ...] = ()
    readiness: Readiness = Readiness.PROBED
    health: HealthCheck | None = None
    is_ready: bool = False
    pid: int = 0
    start_ticks: int = 0
    started_s: float = 0.0
    ports: Mapping[str, int] = field(default_factory=dict)
    port_range: tuple[int, int] | None = None
    reason: str = ""


_RECORD = TypeAdapter(Record)


def dump(record: Record) -> str:
    """The record as text."""
    return _RECORD.dump_json(record).decode()


def parse(text: bytes) -> Record | None:
    """The record out of its text; None where it is none."""
    try:
        return _RECORD.validate_json(text)
    except ValueError:
        return None


class Records:
    """The files under a state directory."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir.resolve()
        for folder in ("functions", "ready", "logs"):
            private.ensure_folder(self._root / folder)

    def ids(self) -> list[str]:
        """Every function with a record."""
        found = (path.stem for path in (self._root / "functions").glob("*.json"))
        return sorted(id_ for id_ in found if _SAFE.fullmatch(id_))

    def get(self, function_id: str) -> Record | None:
        """The record; None where there is none or it cannot be read."""
        try:
            return parse(self._path("functions", function_id).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            log.warning("function record not read", id=function_id, reason=str(error))
            return None

    def is_broken(self, function_id: str) -> bool:
        """Whether the record's file was read and is no record."""
        try:
            return parse(self._path("functions", function_id).read_bytes()) is None
        except OSError:
            return False

    def put(self, record: Record) -> None:
        """Write the record. Raises OSError."""
        private.write(self._path("functions", record.id), _RECORD.dump_json(record, indent=1))

    def remove(self, function_id: str) -> None:
        """Forget the function. Its log stays."""
        self._path("functions", function_id).unlink(missing_ok=True)
        self.ready_path(function_id).unlink(missing_ok=True)

    def ready_path(self, function_id: str) -> Path:
        """Where the function says that it is ready."""
        return self._path("ready", function_id)

    def id_of_ready_path(self, path: str) -> str | None:
        """Whose ready file that is; None where it is no function's of this directory."""
        function_id = Path(path).stem
        if not _SAFE.fullmatch(function_id) or path != str(self.ready_path(function_id)):
            return None
        return function_id

    def log_path(self, function_id: str) -> Path:
        """Where its output goes."""
        return self._path("logs", function_id, ".log")

    def ready_ports(self, record: Record) -> Mapping[str, int] | None:
        """What the function listens on; None until this very process has reported every port that
        its health check needs, or has passed that check."""
        if record.readiness is Readiness.PROBED:
            return record.ports if record.is_ready else None
        document = _load(self.ready_path(record.id))
        if document is None or document.get("pid") != record.pid:
            return None
        ports = document.get("ports")
        if not isinstance(ports, dict) or (record.health and record.health.port not in ports):
            return None
        if not all(isinstance(port, int) and 0 < port < 65536 for port in ports.values()):
            return None
        return {str(name): port for name, port in ports.items()}

    def _path(self, folder: str, function_id: str, suffix: str = ".json") -> Path:
        if not _SAFE.fullmatch(function_id):
            raise BadFunctionId(f"{function_id!r} cannot name a file", function=function_id)
        return self._root / folder / f"{function_id}{suffix}"


def _load(path: Path) -> dict[str, object] | None:
    try:
        document = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("file unreadable", path=str(path), reason=str(error))
        return None
    return document if isinstance(document, dict) else None
