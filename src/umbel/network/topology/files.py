"""Where network documents come from: an operator's YAML file, or one that ships with Umbel.

Out: the plain mapping that document.py (links) and compute/inventory.py (nodes) parse.
"""

from importlib.resources import files
from pathlib import Path

import yaml

from umbel.network.topology.document import BadNetwork


def read(path: Path) -> object:
    """The document in a file. Raises BadNetwork when there is none or it is not YAML."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadNetwork(f"{path} cannot be read", problems=[str(error)]) from None
    return decode(text)


def builtin(name: str = "sls") -> object:
    """A document that ships with Umbel. Raises BadNetwork for an unknown name."""
    folder = files("umbel.network.topology") / "builtin"
    known = sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if ".yaml" in f.name)
    if name not in known:
        raise BadNetwork(problems=[f"no built-in network {name!r}; there are: {', '.join(known)}"])
    return decode((folder / f"{name}.yaml").read_text(encoding="utf-8"))


def decode(text: str) -> object:
    """The document a YAML text holds. Raises BadNetwork when it is not YAML."""
    try:
        document: object = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: a scalar that looks like a date or number but is none, such as 2024-99-99.
        problem = " ".join(str(error).split())
        raise BadNetwork("The network file is not YAML", problems=[problem]) from None
    return document
