"""How many viewers an event is expected to have, where and when; and how many it had."""
