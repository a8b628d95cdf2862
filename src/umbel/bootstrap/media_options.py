"""Options of every media server that the settings decide."""

from umbel.kit.config import Settings


def of(settings: Settings) -> tuple[str, ...]:
    """The options, as words."""
    return (
        *("--most-pixels", str(settings.most_pixels)),
        *("--worker-memory-mb", str(settings.worker_memory_mb)),
        *("--connections-per-address", str(settings.connections_per_address)),
        *_replays(settings),
        *_captions(settings),
    )


def _replays(settings: Settings) -> tuple[str, ...]:
    room = ("--replay-cache-mb", str(settings.replay_cache_mb))
    if settings.replay_cache_folder is None:
        return room
    return (*room, "--replay-cache-folder", str(settings.replay_cache_folder))


def _captions(settings: Settings) -> tuple[str, ...]:
    if not settings.captions_engine:
        return ()
    command = ("--captions-command", settings.captions_command)
    return (
        *("--captions-engine", settings.captions_engine),
        *(command if settings.captions_command else ()),
    )
