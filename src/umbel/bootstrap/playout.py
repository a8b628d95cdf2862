"""Files of providers and their playout, wired. Neighbour: services.py has all others."""

from umbel.bootstrap.services import Context
from umbel.playout.files import Files
from umbel.playout.store import FileStore
from umbel.repository.resumable import ResumableUploads
from umbel.repository.service import Repository


def files(context: Context, repository: Repository) -> Files:
    """Providers' files."""
    return Files(
        store=FileStore(context.database),
        resumable=ResumableUploads(
            repository=repository, uploads=repository.uploads, clock=context.clock
        ),
        clock=context.clock,
    )
