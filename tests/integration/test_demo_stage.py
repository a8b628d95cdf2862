"""What the demo prepares, and what it says when it cannot start."""

from pathlib import Path

import pytest
import yaml

from umbel.catalogue.model import UserRole
from umbel.demo import stage
from umbel.demo.model import VIRCA_NODE_MBPS
from umbel.demo.stage import DemoFailed


async def test_a_platform_that_does_not_start_is_named_with_its_log_and_its_reason(
    tmp_path: Path,
) -> None:
    with pytest.raises(DemoFailed) as failed:
        await stage.start_platform(tmp_path, options=["--policy", "none-such"])
    first, *rest = failed.value.message.splitlines()
    assert first == f"the platform ended; {tmp_path / 'serve.log'} ends with:"
    assert "UMBEL_POLICY" in "\n".join(rest)


async def test_accounts_that_cannot_be_made_are_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "umbel.db").write_text("this is no database, " * 100)
    with pytest.raises(DemoFailed, match="not a database"):
        await stage.prepare(tmp_path, "sls")


async def test_what_is_prepared_has_an_account_for_each_role_and_the_policys_network(
    tmp_path: Path,
) -> None:
    accounts, network = await stage.prepare(tmp_path, "virca")
    assert {account.role for account in accounts} == set(UserRole)
    assert len({account.password for account in accounts}) == len(accounts)
    nodes = yaml.safe_load(network.read_text())["nodes"]
    assert {node["mbps"] for node in nodes} == {VIRCA_NODE_MBPS}
