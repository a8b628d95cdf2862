"""A server's user data, run by a real shell."""

import subprocess
from dataclasses import replace
from pathlib import Path

from umbel.compute.clouds.model import CloudCredentials, CloudNode
from umbel.compute.drivers.openstack import servers
from umbel.compute.drivers.openstack.servers import PortAddress, ServerOrder
from umbel.compute.images.model import Image
from umbel.compute.model import Function, Node, NodeKind
from umbel.delivery.loop import functions
from umbel.delivery.trees.view import Costs

KEY = Path("/srv/umbel/keys/public.pem")
FUNCTION = Function(
    id="edge-town-1",
    node="town",
    description=functions.described(KEY, Costs())["edge"],
    environment={"UMBEL_MEDIA_SECRET": "s3cret", "ODD": "it's $HOME\n`id`"},
)


def script(image: Image) -> str:
    there = CloudNode(
        name="town", flavor="f", network="n", credentials=CloudCredentials(url="https://192.0.2.1")
    )
    node = Node(
        name="town", kind=NodeKind.PROVIDER_EDGE, address="192.0.2.21", ports=(30000, 30015)
    )
    order = ServerOrder(owner="delivery", function=FUNCTION, node=node, there=there, now_s=1.0)
    at = PortAddress(address="10.0.5.9", prefix=24, gateway="10.0.5.1")
    record = servers.made(order, image, at, None)
    files = {"file-0": (str(KEY), "a key\nof 'two' lines\n")}
    return servers.user_data(record, at, order, image, files)


def test_it_writes_the_seed(tmp_path: Path) -> None:
    moved = script(Image(name="media", command=(), hashes={})).replace("/run/", f"{tmp_path}/")
    environment = {"UMBEL_GUEST": "1", "PATH": "/usr/bin:/bin"}
    subprocess.run(["sh", "-c", moved], check=True, env=environment)
    seed = tmp_path / "seed"
    assert (seed / "file-0").read_text() == "a key\nof 'two' lines\n"
    assert "GUEST_ADDRESS=10.0.5.9/24" in (seed / "guest.env").read_text()
    start = (seed / "start").read_text()
    assert "export UMBEL_MEDIA_SECRET=s3cret\n" in start
    assert "--public-key /run/seed/file-0" in start
    assert "--address 10.0.5.9 " in start
    assert "export UMBEL_PORT_RANGE=30000-30015\n" in start
    assert oct(seed.stat().st_mode)[-3:] == "700"


def test_it_starts_the_function_where_no_program_of_ours_does(tmp_path: Path) -> None:
    show = ("sh", "-c", 'printf "%s" "$ODD"')
    image = replace(Image(name="media", command=(), hashes={}), command=show)
    moved = script(image).replace("/run/", f"{tmp_path}/")
    done = subprocess.run(
        ["sh", "-c", moved], check=True, capture_output=True, env={"PATH": "/usr/bin:/bin"}
    )
    assert done.stdout.decode() == FUNCTION.environment["ODD"]
