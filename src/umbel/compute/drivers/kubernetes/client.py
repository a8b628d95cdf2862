"""Speaks to a cluster's API server through lightkube. Values in and out, errors in our words.

Answers are decoded into the API's types by the library; what does not fit them is ClusterFailed.
No proxy, program or file of this machine is used but those of a service account of its own.
"""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx2
from lightkube import ApiError, AsyncClient, KubeConfig
from lightkube.config.client_adapter import verify_cluster
from lightkube.config.models import Cluster, User
from lightkube.core.exceptions import ConfigError, NotReadyError
from lightkube.generic_resource import create_global_resource, create_namespaced_resource
from lightkube.models.authorization_v1 import ResourceAttributes, SelfSubjectAccessReviewSpec
from lightkube.resources.authorization_v1 import SelfSubjectAccessReview
from lightkube.resources.core_v1 import Node, Pod, Secret

from umbel.compute.clusters.model import (
    ClusterDenied,
    ClusterFailed,
    ClusterNode,
    ClusterUnreachable,
)
from umbel.compute.drivers.kubernetes import observed, usage
from umbel.compute.drivers.kubernetes.observed import SeenPod
from umbel.compute.drivers.kubernetes.transport import LimitedTransport
from umbel.compute.drivers.kubernetes.usage import Amounts
from umbel.compute.ports import CannotRun, MachineFull
from umbel.kit.clock import Clock
from umbel.kit.errors import UmbelError

SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount"
"""Where a pod finds its own; its token is read again when it was replaced."""

_MOST_TEXT = 400
_PAGE = 500
_METRICS = ("metrics.k8s.io", "v1beta1")
_PodMetrics = create_namespaced_resource(*_METRICS, "PodMetrics", "pods", verbs=["list"])
_NodeMetrics = create_global_resource(*_METRICS, "NodeMetrics", "nodes", verbs=["get"])
_MOST_PODS = 5000
_DELETED = "DELETED"
_NOT_UNDERSTOOD = (ValueError, TypeError, AttributeError, LookupError, RuntimeError)
"""msgspec's errors are ValueErrors; lightkube trips over objects without metadata, and over answers
without a content type. A client that was closed raises RuntimeError."""


class ClusterClient:
    """The API server of one cluster, for one of its nodes: pods and secrets of its namespace that
    have all of `labels`."""

    def __init__(
        self, there: ClusterNode, labels: Mapping[str, str], within_s: float, clock: Clock
    ) -> None:
        self._name, self._machine = there.name, there.machine
        self._labels = dict(labels)
        self._within_s = within_s
        with _in_our_words(there.name):
            config = _config(there).get()
            trusted = verify_cluster(config.cluster, config.user, config.abs_file, trust_env=False)
            below = httpx2.AsyncHTTPTransport(verify=trusted, trust_env=False)
            self._client = AsyncClient(
                config=config,
                transport=LimitedTransport(below, clock),
                namespace=there.namespace,
                timeout=httpx2.Timeout(within_s),
                trust_env=False,
            )

    async def close(self) -> None:
        """Let go of it."""
        await self._client.close()

    async def pods(self) -> tuple[dict[str, SeenPod], str]:
        """Every function's pod by function, and the version from which on changes are read."""
        async with self._call():
            listed = self._client.list(Pod, labels=self._labels, chunk_size=_PAGE)
            found: dict[str, SeenPod] = {}
            async for pod in listed:
                one = observed.seen(pod)
                if one is not None:
                    found[one.record.id] = one
                if len(found) > _MOST_PODS:
                    raise ClusterFailed(f"{self._name} has more than {_MOST_PODS} pods")
            return found, listed.resourceVersion

    async def changes(self, version: str) -> AsyncIterator[tuple[SeenPod, bool]]:
        """Each change of a pod from that version on, and whether it is gone. Ends by raising."""
        with _in_our_words(self._name):
            watching = self._client.watch(Pod, labels=self._labels, resource_version=version)
            async for kind, pod in watching:
                one = observed.seen(pod)
                if one is not None:
                    yield one, kind == _DELETED

    async def pod(self, name: str) -> SeenPod | None:
        """The pod of that name; None where there is none, or one that is not ours."""
        async with self._call():
            try:
                found = await self._client.get(Pod, name)
            except ApiError as error:
                if error.status.code != 404:
                    raise
                return None
            has = (found.metadata.labels if found.metadata else None) or {}
            return observed.seen(found) if has.items() >= self._labels.items() else None

    async def create_pod(self, manifest: Mapping[str, Any], *, is_trial: bool = False) -> str:
        """Make the pod; its uid. A trial only finds out whether it could be made."""
        async with self._call():
            made = await self._client.create(Pod.from_dict(dict(manifest)), dry_run=is_trial)
            return str(made.metadata.uid)

    async def create_secret(self, manifest: Mapping[str, Any]) -> None:
        """Make the secret."""
        async with self._call():
            await self._client.create(Secret.from_dict(dict(manifest)))

    async def delete_pod(self, name: str, grace_s: int | None = None) -> None:
        """Have the pod end; an absent one is not an error."""
        await self._delete(Pod, name, grace_s)

    async def delete_secret(self, name: str) -> None:
        """Remove the secret; an absent one is not an error."""
        await self._delete(Secret, name, None)

    async def delete_secrets(self) -> None:
        """Remove all secrets."""
        async with self._call():
            async for one in self._client.list(Secret, labels=self._labels, chunk_size=_PAGE):
                await self._client.delete(Secret, one.metadata.name)

    async def _delete(self, kind: Any, name: str, grace_s: int | None) -> None:
        async with self._call():
            try:
                await self._client.delete(kind, name, grace_period=grace_s)
            except ApiError as error:
                if error.status.code != 404:
                    raise

    async def machine(self) -> Any:
        """The node, as the cluster shows it."""
        async with self._call():
            return await self._client.get(Node, self._machine)

    async def pods_usage(self) -> dict[str, Amounts]:
        """What pods use, by their names, where the cluster measures it."""
        async with self._call():
            listed = self._client.list(_PodMetrics, labels=self._labels, chunk_size=_PAGE)
            found: dict[str, Amounts] = {}
            async for metrics in listed:
                one = usage.of_pod(metrics)
                if one is not None and len(found) < _MOST_PODS:
                    found[usage.name_of(metrics)] = one
            return found

    async def machine_usage(self) -> Amounts:
        """What the machine uses, all pods and other programs included."""
        async with self._call():
            metrics = await self._client.get(_NodeMetrics, self._machine)
            return usage.of_amounts(metrics.get("usage"))

    async def may(self, verb: str, resource: str, namespace: str) -> bool:
        """Whether these credentials may do that there; without a namespace, in the cluster."""
        attributes = ResourceAttributes(verb=verb, resource=resource, namespace=namespace or None)
        asked = SelfSubjectAccessReview(
            spec=SelfSubjectAccessReviewSpec(resourceAttributes=attributes)
        )
        async with self._call():
            answer = await self._client.create(asked)
            return answer.status is not None and bool(answer.status.allowed)

    @asynccontextmanager
    async def _call(self) -> AsyncIterator[None]:
        with _in_our_words(self._name):
            async with asyncio.timeout(self._within_s):
                yield


@contextmanager
def _in_our_words(name: str) -> Iterator[None]:
    try:
        yield
    except ApiError as error:
        raise _refusal(name, error) from error
    except httpx2.HTTPStatusError as error:
        message = f"{name}: its API server answered {error.response.status_code}, and no status"
        raise ClusterFailed(message, node=name) from error
    except (httpx2.HTTPError, TimeoutError, OSError) as error:
        reason = " ".join(str(error).split())[:_MOST_TEXT] or "it did not answer in time"
        message = f"The API server of {name} cannot be reached: {reason}"
        raise ClusterUnreachable(message, node=name) from error
    except (*_NOT_UNDERSTOOD, httpx2.InvalidURL, NotReadyError) as error:
        message = f"{name}: its API server said what Kubernetes does not: {str(error)[:200]}"
        raise ClusterFailed(message, node=name) from error


def _refusal(name: str, error: ApiError) -> UmbelError:
    status = error.status
    message = f"{name}: {' '.join((status.message or '').split())[:_MOST_TEXT] or status.reason}"
    match status.code:
        case 401:
            return ClusterDenied(f"{name}: its cluster does not know these credentials", node=name)
        case 403 if "exceeded quota" in message:
            return MachineFull(message, node=name)
        case 403:
            return ClusterDenied(message, node=name)
        case 400 | 422:
            return CannotRun(message, node=name)
    return ClusterFailed(message, node=name)


def _config(there: ClusterNode) -> KubeConfig:
    credentials = there.credentials
    if credentials.is_own:
        try:
            return KubeConfig.from_service_account(SERVICE_ACCOUNT)
        except (ConfigError, KeyError) as error:
            message = f"{there.name}: there is no service account here to sign in with: {error}"
            raise ClusterDenied(message, node=there.name) from error
    return KubeConfig.from_one(
        cluster=Cluster(
            server=credentials.server, certificate_auth_data=_encoded(credentials.authority)
        ),
        user=User(
            token=credentials.token or None,
            client_cert_data=_encoded(credentials.certificate),
            client_key_data=_encoded(credentials.key),
        ),
    )


def _encoded(pem: str) -> str | None:
    return base64.b64encode(pem.encode()).decode() if pem else None
