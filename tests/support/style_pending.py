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
}
ARGUMENTS = {"src/umbel/compute/drivers/process/vim.py"}
NAMES = ("src/umbel/simulator",)
SENTENCES: tuple[str, ...] = ()
