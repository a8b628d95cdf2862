"""What there is before the demo's platform starts: its accounts and its network.

python -m umbel.demo.preparation DATA_DIR POLICY NETWORK. Out: `network.yaml` in the data directory,
and the accounts as a line of JSON. A program of its own: the demo, which stays, has no use for what
opens a database.
"""

import asyncio
import json
import secrets
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import yaml

from umbel.catalogue import console
from umbel.catalogue.model import UserRole
from umbel.demo.model import PROVIDER_AT, VIRCA, VIRCA_NODE_MBPS, Account
from umbel.kit.config import Settings
from umbel.kit.errors import UmbelError
from umbel.network.documents import builtin_document


async def make_accounts(data_dir: Path, built_in: str = "sls") -> list[Account]:
    """One account per role, with fresh passwords; the provider's node is the network's first for
    clients."""
    settings = Settings(data_dir=data_dir)
    made = []
    async with console.opened(settings) as catalogue:
        provider = await catalogue.ensure_provider("Town Hall", PROVIDER_AT[built_in])
        for role in (UserRole.OPERATOR, UserRole.PROVIDER, UserRole.VIEWER):
            account = Account(role=role, username=role.value, password=secrets.token_urlsafe(9))
            owner = provider.id if role is UserRole.PROVIDER else ""
            await console.reset(catalogue, account.username, account.password, role, owner)
            made.append(account)
    return made


def network(policy: str, built_in: str = "sls") -> object:
    """The network document; for `virca`, of small nodes."""
    document: Any = builtin_document(built_in)
    if policy != VIRCA:
        return document
    return {**document, "nodes": [dict(node, mbps=VIRCA_NODE_MBPS) for node in document["nodes"]]}


def main() -> None:
    """Make both. Exits with what is wrong."""
    data_dir, policy, built_in = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    try:
        accounts = asyncio.run(make_accounts(data_dir, built_in))
    except UmbelError as error:
        sys.exit(error.message)
    (data_dir / "network.yaml").write_text(yaml.safe_dump(network(policy, built_in)))
    said = [{**asdict(account), "role": account.role.value} for account in accounts]
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
