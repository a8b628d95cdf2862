"""`umbel node` of a running platform, as the operator."""

import sys

from support.platform import Platform
from umbel.catalogue.model import UserRole
from umbel.demo.stage import Child


async def node(made: Platform, *words: str, status: int = 0) -> str:
    """What `umbel node` says."""
    child = await begun(made, *words)
    await child.process.wait()
    assert child.process.returncode == status, child.tail()
    return child.tail()


async def begun(made: Platform, *words: str) -> Child:
    """`umbel node`, started."""
    account = next(a for a in made.accounts if a.role is UserRole.OPERATOR)
    form = {"grant_type": "password", "username": account.username, "password": account.password}
    token = (await made.api.post("/oauth/token", data=form)).json()["access_token"]
    options = ("--url", made.url, "--token", token)
    return await made.run("node", [sys.executable, "-m", "umbel", "node", *options, *words])
