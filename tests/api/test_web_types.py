"""The web app's types are what the OpenAPI document gives; needs Node, which make installs."""

import importlib.util
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
TYPES = ROOT / "web" / "src" / "kit" / "api-types.ts"


def document() -> str:
    """What scripts/openapi.py prints."""
    spec = importlib.util.spec_from_file_location("openapi", ROOT / "scripts" / "openapi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    text = module.text()
    assert isinstance(text, str)
    return text


def run(*command: str, folder: Path) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_generated_types_are_current(tmp_path: Path) -> None:
    described, generated = tmp_path / "openapi.json", tmp_path / "api-types.ts"
    described.write_text(document())
    run("make", "-s", "web/node_modules/.package-lock.json", folder=ROOT)
    npm = ("../scripts/node.sh", "npm", "run", "--silent", "generate", "--")
    run(*npm, str(described), "--output", str(generated), folder=ROOT / "web")
    assert TYPES.read_text() == generated.read_text(), "run `make web-types`"
