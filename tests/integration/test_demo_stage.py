"""What the demo says when its platform does not start."""

from pathlib import Path

import pytest

from umbel.demo import stage
from umbel.demo.stage import DemoFailed


async def test_a_platform_that_does_not_start_is_named_with_its_log_and_its_reason(
    tmp_path: Path,
) -> None:
    with pytest.raises(DemoFailed) as failed:
        await stage.start_platform(tmp_path, options=["--policy", "none-such"])
    first, *rest = failed.value.message.splitlines()
    assert first == f"the platform ended; {tmp_path / 'serve.log'} ends with:"
    assert "UMBEL_POLICY" in "\n".join(rest)
