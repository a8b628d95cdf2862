"""CPU that guests use, out of what they have used. Pure."""

from dataclasses import dataclass


@dataclass
class _Sample:
    at_s: float
    cpu_s: float
    cores: float = 0.0


class CpuMeter:
    """Cores in use over the last sampling period, by function."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._samples: dict[str, _Sample] = {}

    def note(self, function_id: str, now_s: float, cpu_s: float) -> None:
        """It has used that much CPU since it began."""
        last = self._samples.get(function_id)
        if last is None or cpu_s < last.cpu_s:  # it was started again
            self._samples[function_id] = _Sample(now_s, cpu_s)
        elif now_s - last.at_s >= self._every_s:
            cores = (cpu_s - last.cpu_s) / (now_s - last.at_s)
            self._samples[function_id] = _Sample(now_s, cpu_s, cores)

    def cores(self, function_id: str) -> float:
        """Cores in use; 0 before the first period has passed."""
        sample = self._samples.get(function_id)
        return sample.cores if sample is not None else 0.0

    def forget(self, function_id: str) -> None:
        """It is gone."""
        self._samples.pop(function_id, None)
