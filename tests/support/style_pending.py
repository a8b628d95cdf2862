"""What test_style.py does not ask yet, because it is being renamed. Entries only leave."""

TWICE = {
    ("network", "Fabric"),
    ("network", "Switches"),
}
LARGE = {
    "Switchboard",
    "Switches",
    "System",
}
CODES = {
    "umbel.bad_network",
    "umbel.no_such_node",
}
ARGUMENTS = {"src/umbel/compute/drivers/process/vim.py"}
NAMES = (
    "src/umbel/bootstrap",
    "src/umbel/catalogue",
    "src/umbel/delivery",
    "src/umbel/kit",
    "src/umbel/network",
    "src/umbel/notify",
    "src/umbel/plans",
    "src/umbel/portal",
    "src/umbel/simulator",
    "src/umbel/testbed",
)
SENTENCES = (
    "docs/howto",
    "docs/reference",
    "src/umbel/compute",
    "src/umbel/delivery",
    "src/umbel/network",
)
