"""How many examples Hypothesis tries: all of them, or a share in `make test-fast`."""

from hypothesis import HealthCheck, settings

ALL, FEW = "all", "few"

# A busy machine is no reason to fail: what an example costs is measured by the benches.
settings.register_profile(
    ALL, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(FEW, settings.get_profile(ALL), max_examples=20)


def examples(count: int) -> settings:
    """Decorates a test that tries `count` examples, or the profile's share of them."""
    share = settings().max_examples / settings.get_profile(ALL).max_examples
    return settings(max_examples=max(1, round(count * share)))
