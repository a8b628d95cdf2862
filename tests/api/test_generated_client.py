"""A client that openapi-python-client generates from our OpenAPI document: nothing is left out,
every type has a name of its own, and it works."""

import asyncio
import importlib
import importlib.util
import json
import pkgutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from support.http import PASSWORD, make_system, serving, world
from umbel.kit.db import Database

ROOT = Path(__file__).parents[2]
# What the generator reads as bytes, because it knows no better.
BINARY = (
    "application/offset+octet-stream",
    "application/rss+xml",
    "application/sdp",
    "application/vnd.apple.mpegurl",
    "image/jpeg",
    "image/png",
    "video/mp4",
)


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    spec = importlib.util.spec_from_file_location("openapi", ROOT / "scripts" / "openapi.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, Any] = module.document()
    return found


@pytest.fixture(scope="module")
def client(
    document: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ModuleType]:
    folder = tmp_path_factory.mktemp("client")
    described, config = folder / "openapi.json", folder / "config.yaml"
    described.write_text(json.dumps(document))
    overrides = dict.fromkeys(BINARY, "application/octet-stream")
    config.write_text(yaml.safe_dump({"content_type_overrides": overrides, "post_hooks": []}))
    words = ("--path", described, "--output-path", folder / "umbel_api", "--config", config)
    strict = ("--meta", "none", "--fail-on-warning")
    done = subprocess.run(
        [sys.executable, "-m", "openapi_python_client", "generate", *map(str, words), *strict],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    sys.path.insert(0, str(folder))
    try:
        yield importlib.import_module("umbel_api")
    finally:
        sys.path.remove(str(folder))


def test_each_schema_has_a_name_of_its_own(document: dict[str, Any]) -> None:
    """Where two classes are named alike, FastAPI puts the modules before their names, and
    generators take the titles, of which the last one wins."""
    schemas = document["components"]["schemas"]
    assert [name for name in schemas if "__" in name] == []
    titles = Counter(schema.get("title", name) for name, schema in schemas.items())
    for item in document["paths"].values():
        for operation in item.values():
            titles.update(_titles(operation.get("requestBody", {})))
            for response in operation["responses"].values():
                titles.update(_titles(response))
    assert [title for title, count in titles.items() if count > 1] == []


def _titles(body: dict[str, Any]) -> Iterator[str]:
    """The titles of schemas that are made where they are used, of unions and objects."""
    for content in body.get("content", {}).values():
        schema = content.get("schema", {})
        if "title" in schema and not {"type"} & schema.keys() - {"object"}:
            yield schema["title"]


def test_every_module_is_imported(client: ModuleType, document: dict[str, Any]) -> None:
    found = [one.name for one in pkgutil.walk_packages(client.__path__, "umbel_api.")]
    for name in found:
        importlib.import_module(name)
    operations = sum(len(item) for item in document["paths"].values())
    assert sum(name.count(".") == 3 for name in found) == operations
    models = importlib.import_module("umbel_api.models")
    generated = {name.replace("_", "").lower() for name in models.__all__}
    wanted = {name.replace("_", "").lower() for name in document["components"]["schemas"]}
    assert wanted <= generated


async def test_it_speaks_to_a_front_end(
    client: ModuleType, sqlite: Database, tmp_path: Path
) -> None:
    def call(module: str, *arguments: Any, **named: Any) -> Any:
        return importlib.import_module(f"umbel_api.api.{module}").sync(*arguments, **named)

    models = importlib.import_module("umbel_api.models")

    def use(url: str, event_id: str) -> None:
        with client.Client(base_url=url) as anyone:
            form = models.BodySignIn(username="operator", password=PASSWORD, grant_type="password")
            token = call("users.sign_in", client=anyone, body=form)
        assert isinstance(token, models.TokenOut)
        with client.AuthenticatedClient(base_url=url, token=token.access_token) as operator:
            nodes = call("nodes.list_nodes", client=operator)
            assert {type(node) for node in nodes} == {models.NodeDetailOut}
            assert isinstance(nodes[0].state, models.NodeAvailability)
            drained = call(
                "nodes.drain_node", "pe4", client=operator, body=models.DrainIn(within_s=5)
            )
            assert drained.name == "pe4"
            body = models.SessionIn(access_node="pe1")
            ticket = call("sessions.open_session", event_id, client=operator, body=body)
            assert isinstance(ticket, models.TicketOut)
            refused = call("nodes.get_node", "nowhere", client=operator)
            assert isinstance(refused, models.Problem)
            assert refused.code == "umbel.no_such_node"

    async with (
        world(make_system(sqlite, tmp_path), served=True) as here,
        serving(here.app) as (
            _,
            url,
        ),
    ):
        event = await here.open_event()
        await asyncio.to_thread(use, url, event.id)
