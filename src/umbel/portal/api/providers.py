"""Providers: who makes events, and at which node its encoders arrive."""

from typing import Annotated

from fastapi import Query

from umbel.catalogue.model import ProviderInUse
from umbel.catalogue.service_levels.model import ServiceLevel
from umbel.kit.errors import Unprocessable
from umbel.portal import auth
from umbel.portal.api import shapes
from umbel.portal.api.resource import Resource
from umbel.portal.api.shapes import (
    ProviderIn,
    ProviderOut,
    ProviderPatch,
    ServiceLevelIn,
    ServiceLevelOut,
)
from umbel.portal.ports import System

router = Resource(prefix="/api/v1/providers", tags=["providers"])

MOST_HOURS = 24 * 31
_DAY_S = 86_400.0


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
    """Delete a provider that has neither events nor users, nor items in the repository."""
    if (await system.repository.usage(provider_id)).items:
        raise ProviderInUse("The provider has items in the repository: delete them first")
    await system.catalogue.remove_provider(provider_id)


@router.get("/{provider_id}/service-level")
async def get_service_level(
    system: auth.SystemDep,
    user: auth.SignedIn,
    provider_id: str,
    hours: Annotated[float, Query(gt=0, le=MOST_HOURS, description="length of the period")] = 24,
) -> ServiceLevelOut:
    """What the provider was promised, and whether it was kept in the last hours."""
    auth.may_run(user, provider_id)
    report = await system.service_reports.report(provider_id, hours * 3600)
    return shapes.service_level(report)


@router.put("/{provider_id}/service-level")
async def set_service_level(
    system: auth.SystemDep, _operator: auth.Operator, provider_id: str, given: ServiceLevelIn
) -> ServiceLevelOut:
    """Promise the provider this in place of what was promised before."""
    wanted = ServiceLevel(provider_id=provider_id, **given.model_dump(exclude={"version"}))
    await system.catalogue.service_levels.set_level(wanted, version=given.version)
    report = await system.service_reports.report(provider_id, _DAY_S)
    return shapes.service_level(report)


def _check_node(system: System, name: str) -> None:
    if name not in system.network.topology.current().nodes:
        fields = [{"field": "access_node", "message": "no such node"}]
        raise Unprocessable(f"access_node: there is no node {name}", fields=fields)
