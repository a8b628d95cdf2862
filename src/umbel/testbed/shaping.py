"""How fast a link end may send: a rate in, lines for `tc -batch` out. Pure."""

MTU_BYTES = 1614
_LONGEST_QUEUE_S = 0.05
_FEWEST_PACKETS = 32


def root_qdisc(device: str, mbps: float) -> tuple[str, ...]:
    """Lines that make `device` send at most `mbps` Mbit/s, with a queue of 50 ms at that rate."""
    kbit = max(8, round(mbps * 1000))
    packets = max(_FEWEST_PACKETS, round(mbps * 1e6 * _LONGEST_QUEUE_S / 8 / MTU_BYTES))
    return (
        f"qdisc replace dev {device} root handle 1: htb default 1",
        f"class replace dev {device} parent 1: classid 1:1 htb"
        f" rate {kbit}kbit ceil {kbit}kbit quantum {MTU_BYTES}",
        f"qdisc replace dev {device} parent 1:1 handle 11: pfifo limit {packets}",
    )
