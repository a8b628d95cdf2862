"""What test_style.py does not ask yet, because it is being renamed. Entries only leave."""

TWICE = {
    ("compute", "Record"),
    ("network", "Asked"),
    ("network", "Door"),
    ("network", "Fabric"),
    ("network", "Framer"),
    ("network", "Garbage"),
    ("network", "Host"),
    ("network", "SwitchDown"),
    ("network", "SwitchUp"),
    ("network", "Switches"),
    ("network", "Terms"),
    ("network", "Way"),
    ("network", "_Draft"),
}
LARGE = {
    "Switchboard",
    "Switches",
    "System",
}
CODES = {
    "umbel.bad_network",
    "umbel.forbidden",
    "umbel.no_such_node",
    "umbel.unprocessable",
}
ARGUMENTS = {"src/umbel/compute/drivers/process/vim.py"}
NAMES = (
    "src/umbel/bootstrap",
    "src/umbel/catalogue",
    "src/umbel/delivery",
    "src/umbel/kit",
    "src/umbel/media",
    "src/umbel/network",
    "src/umbel/notify",
    "src/umbel/plans",
    "src/umbel/portal",
    "src/umbel/simulator",
    "src/umbel/testbed",
)
SENTENCES = (
    "docs/howto/troubleshoot.md",
    "docs/reference/errors.md",
    "src/umbel/compute",
    "src/umbel/delivery",
    "src/umbel/media",
    "src/umbel/network",
    "web/src",
)
