"""The OCI image, built by Buildah on a Debian made by mmdebstrap, so that no registry is needed.

Buildah's isolation is chroot: inside containers and sandboxes the others are refused.
"""

import json
from pathlib import Path

import pytest

import umbel
from support.packages import INSTALLS_S, MARKS, release, run

BASE = "localhost/umbel-test-base"
IMAGE = f"localhost/umbel:{umbel.__version__}"

pytestmark = MARKS


@pytest.fixture(scope="module")
def image(deb: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    debian = tmp_path_factory.mktemp("base") / "debian.tar"
    run("mmdebstrap", "--mode=root", "--variant=minbase", release(), debian, within_s=INSTALLS_S)
    container = run("buildah", "from", "scratch").strip()
    run("buildah", "add", "-q", container, debian, "/", within_s=INSTALLS_S)
    run("buildah", "commit", "-q", "--rm", container, BASE, within_s=INSTALLS_S)
    env = {"BASE": BASE, "ISOLATION": "chroot", "UMBEL_DEB": str(deb)}
    run("scripts/package", "image", within_s=INSTALLS_S, **env)
    return IMAGE


def test_it_runs_as_its_own_user_and_keeps_its_state(image: str) -> None:
    config = json.loads(run("buildah", "inspect", image))["OCIv1"]["config"]
    assert config["User"] == "umbel"
    assert (config["Entrypoint"], config["Cmd"]) == (["/usr/bin/umbel"], ["serve"])
    assert list(config["Volumes"]) == ["/var/lib/umbel"]
    container = run("buildah", "from", image).strip()
    try:
        inside = ("buildah", "run", "--isolation", "chroot", container, "--")
        assert f"umbel {umbel.__version__}\n" in run(*inside, "/usr/bin/umbel", "version")
        assert run(*inside, "id", "-un") == "umbel\n"
        add = ("env", "UMBEL_PASSWORD=correct horse", "umbel", "user", "add", "ann")
        run(*inside, *add)
        assert "ann" in run(*inside, "umbel", "user", "list")
    finally:
        run("buildah", "rm", container)
