"""The wheel, in a virtual environment of its own: it is whole, with the web app and the files that
are not Python."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

import umbel
from umbel import migrations

ROOT = Path(__file__).parents[2]
# What it needs is not installed again, but seen from where the tests have it.
SEEN = """
import sys
from pathlib import Path
from umbel import migrations
from umbel.network.documents import builtin_document
from umbel.portal.site import STATIC
import umbel

assert Path(umbel.__file__).is_relative_to(sys.prefix), umbel.__file__
assert builtin_document("sls")
print(umbel.__version__, migrations.newest(), (STATIC / "index.html").exists())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run("make", "-s", "web")
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder))
    (built,) = folder.glob("umbel-*.whl")
    return built


def run(*words: str, cwd: Path = ROOT) -> str:
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(words, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_it_holds_the_web_app_and_no_more_than_the_package(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    static = [name for name in names if name.startswith("umbel/portal/static/")]
    assert "umbel/portal/static/index.html" in static
    assert any(name.endswith(".js") for name in static)
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"umbel"}
    assert [name for name in names if "__pycache__" in name or "node_modules" in name] == []


def test_it_runs_from_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = str(environment / "bin" / "python")
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
    run(*pip, "install", "--quiet", "--no-deps", "--no-index", str(wheel))
    (packages,) = environment.glob("lib/python*/site-packages")
    # Its own .pth files are not read: the editable install of the tests is not seen.
    (packages / "required.pth").write_text(sysconfig.get_path("purelib"))
    shown = run(str(environment / "bin" / "umbel"), "--help", cwd=tmp_path)
    assert "serve" in shown
    seen = run(python, "-c", SEEN, cwd=tmp_path).split()
    assert seen == [umbel.__version__, migrations.newest(), "True"]


def test_the_debian_package_depends_on_all_that_setup_installs_to_run() -> None:
    def listed(name: str) -> set[str]:
        lines = (ROOT / "packaging" / f"apt-{name}.txt").read_text().splitlines()
        return {line for line in lines if not line.startswith("#")}

    builds = {"gcc", "pkg-config", "python3-venv"}
    wanted = {one for one in listed("runtime") - builds if not one.endswith("-dev")}
    assert wanted <= listed("target")
