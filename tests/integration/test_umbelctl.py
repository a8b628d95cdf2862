"""`umbelctl` reads the service's settings as systemd does: nothing in a value is expanded."""

import subprocess
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "packaging" / "debian" / "umbelctl"
SETTINGS = """# settings
UMBEL_DATA_DIR=/var/lib/umbel

UMBEL_DATABASE_URL=postgresql+psycopg://umbel:pa$word`id`@db/umbel?sslmode=require&connect_timeout=3
UMBEL_METRICS_TOKEN="a b'c"
#UMBEL_PORT=9
UMBEL_PORT=8001"""


def test_settings_with_characters_of_the_shell_reach_the_program(tmp_path: Path) -> None:
    file = tmp_path / "umbel.env"
    file.write_text(SETTINGS)
    text = SCRIPT.read_text().replace("/etc/umbel/umbel.env", str(file))
    head, _, _ = text.partition("cd /var/lib/umbel")  # what comes then needs the service's user
    ended = subprocess.run(
        ["sh", "-c", f"{head}env"], env={"PATH": "/usr/bin:/bin"}, capture_output=True, check=True
    )
    shown = dict(line.split("=", 1) for line in ended.stdout.decode().splitlines() if "=" in line)
    assert {name: value for name, value in shown.items() if name.startswith("UMBEL_")} == {
        "UMBEL_DATA_DIR": "/var/lib/umbel",
        "UMBEL_DATABASE_URL": "postgresql+psycopg://umbel:pa$word`id`@db/umbel"
        "?sslmode=require&connect_timeout=3",
        "UMBEL_METRICS_TOKEN": "a b'c",
        "UMBEL_PORT": "8001",
    }
    assert ended.stderr == b""
