"""The services of functions that are guests: their volumes, images and firewall. Neighbour:
services.py has all others."""

from umbel.bootstrap.drivers import image_folder
from umbel.bootstrap.services import Context
from umbel.compute.firewall.service import FirewallService
from umbel.compute.firewall.store import FirewallStore
from umbel.compute.images.service import ImageService
from umbel.compute.images.uploads import Uploads
from umbel.compute.service import Compute
from umbel.compute.volumes.service import LEASE_S, VolumeService
from umbel.compute.volumes.store import VolumeStore
from umbel.kit.leases import Leases


def volumes(context: Context, compute: Compute) -> VolumeService:
    """Disks of guests that outlive them."""
    store = VolumeStore(context.database)
    made = VolumeService(
        store,
        compute.vim_at,
        compute.running,
        Leases(context.database, context.clock, context.owner, LEASE_S),
        clock=context.clock,
        quota_mb=context.settings.volumes_mb,
    )
    compute.kept_at = store.at
    compute.watch(made.wake)
    return made


def firewall(context: Context, compute: Compute) -> FirewallService:
    """Which sources may reach which ports of guests."""
    made = FirewallService(
        FirewallStore(context.database),
        compute.vim_at,
        compute.running,
        compute.is_lost,
        context.clock,
    )
    made.serve([context.drivers.vim, *context.drivers.pools.values()])
    return made


def images(context: Context, compute: Compute) -> ImageService:
    """Images that guests begin from."""
    folder = image_folder(context.settings.data_dir)
    return ImageService(
        images=folder,
        uploads=Uploads(folder, context.settings.images_mb),
        vim_at=compute.vim_at,
        clock=context.clock,
    )
