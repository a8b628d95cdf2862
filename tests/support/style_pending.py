"""What test_style.py does not ask yet, because it is being renamed. Entries only leave."""

LARGE = {
    "System",
}
ARGUMENTS = {"src/umbel/compute/drivers/process/vim.py"}
NAMES = ("src/umbel/simulator",)
SENTENCES: tuple[str, ...] = ()
