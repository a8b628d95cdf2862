"""`umbel serve --policy virca` for real: nodes rest at low load, wake for a crowd, and a viewer in
a browser moves from a node that is to rest to one that is not, without a stall."""

import json
from pathlib import Path

import pytest
import yaml

from support.platform import platform
from umbel.demo import flash, power, preparation
from umbel.demo.model import VIRCA

pytestmark = [pytest.mark.e2e, pytest.mark.alone, pytest.mark.timeout(240)]

QUICKER = {
    "UMBEL_PLAN_SAMPLE_S": "1",
    "UMBEL_PLAN_RCA_S": "2",
    "UMBEL_PLAN_VIRCA_S": "4",
    "UMBEL_NODE_WAKE_S": "1",
    "UMBEL_LINGER_S": "2",
}
RESTING = ["c2", "pe2", "pe3", "pe4", "pe5"]
"""With one encoder at pe1 and few viewers; c1 is the network's centre and stays on."""


async def test_nodes_rest_wake_for_a_crowd_and_rest_again_and_no_viewer_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in QUICKER.items():
        monkeypatch.setenv(name, value)
    network = tmp_path / "network.yaml"
    network.write_text(yaml.safe_dump(preparation.network(VIRCA)))
    options = ("--policy", VIRCA, "--network", str(network))
    async with platform(tmp_path, options) as made:
        event, _ = await made.live()
        seen = await flash.check(made.api, f"{made.url}/watch/{event.id}", event.id)
    assert seen["ok"], json.dumps(seen)
    assert seen["rest"] == RESTING
    assert seen["edges"][0] == "pe1"
    assert power.CROWD_AT in seen["woken"]
    watts = seen["watts"]
    assert watts["crowd"] > watts["quiet"]
    assert watts["after"] < watts["crowd"]
