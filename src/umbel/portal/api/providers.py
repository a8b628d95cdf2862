"""Providers: who makes events, and at which node its encoders arrive."""

from fastapi import APIRouter

from umbel.kit.errors import Unprocessable
from umbel.portal import auth
from umbel.portal.api import shapes
from umbel.portal.api.shapes import ProviderIn, ProviderOut, ProviderPatch
from umbel.portal.ports import System

router = APIRouter(prefix="/api/v1/providers", tags=["providers"])


@router.get("")
async def list_providers(system: auth.SystemDep) -> list[ProviderOut]:
    """Every provider by name."""
    return [shapes.provider(one) for one in await system.catalogue.providers()]


@router.post("", status_code=201)
async def add_provider(
    system: auth.SystemDep, _operator: auth.Operator, given: ProviderIn
) -> ProviderOut:
    """A new provider."""
    _check_node(system, given.access_node)
    added = await system.catalogue.add_provider(given.name, given.access_node)
    return shapes.provider(added)


@router.get("/{provider_id}")
async def get_provider(system: auth.SystemDep, provider_id: str) -> ProviderOut:
    """One provider."""
    return shapes.provider(await system.catalogue.provider(provider_id))


@router.patch("/{provider_id}")
async def change_provider(
    system: auth.SystemDep, _operator: auth.Operator, provider_id: str, given: ProviderPatch
) -> ProviderOut:
    """Change the given fields."""
    if given.access_node is not None:
        _check_node(system, given.access_node)
    changed = await system.catalogue.change_provider(
        provider_id, name=given.name, access_node=given.access_node, version=given.version
    )
    return shapes.provider(changed)


@router.delete("/{provider_id}", status_code=204)
async def remove_provider(
    system: auth.SystemDep, _operator: auth.Operator, provider_id: str
) -> None:
    """Delete a provider that has neither events nor users."""
    await system.catalogue.remove_provider(provider_id)


def _check_node(system: System, name: str) -> None:
    if name not in system.network.topology.current().nodes:
        fields = [{"field": "access_node", "message": "no such node"}]
        raise Unprocessable(f"access_node: there is no node {name}", fields=fields)
