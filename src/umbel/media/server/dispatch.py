"""Carries out what the protocol understood: a Call in, its outcome out.

The outcome is a result or an UmbelError; nothing else comes out, whatever an element does.
Neighbours: rpc/sessions.py above the wire, registry.py and the objects below.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping

import structlog

from umbel.kit.errors import UmbelError
from umbel.media.api import SCHEMA, check
from umbel.media.api.schema import Signature
from umbel.media.rpc import envelope, sessions, transaction
from umbel.media.rpc.faults import ParamIllegal
from umbel.media.rpc.sessions import Call, Sessions
from umbel.media.server.elements.base import MediaObject
from umbel.media.server.registry import Registry, snake

log = structlog.get_logger(__name__)

Params = Mapping[str, object]
Result = dict[str, object]
_Method = Callable[[str, Params], Awaitable[Result]]


class Crashed(UmbelError):
    """The server failed at this request; its log has details."""

    code = "umbel.media_crashed"


class Dispatcher:
    """One per server."""

    def __init__(self, registry: Registry, known: Sessions) -> None:
        self._registry = registry
        self._sessions = known
        self._methods: Mapping[str, _Method] = {
            "create": self._create,
            "describe": self._describe,
            "invoke": self._invoke,
            "release": self._release,
            "subscribe": self._subscribe,
            "unsubscribe": self._unsubscribe,
            "closeSession": self._close_session,
            "transaction": self._transaction,
        }

    async def run(self, call: Call) -> object:
        """The result, or the error it failed with."""
        return await self._run(call.session, call.method, call.params)

    async def _run(self, session: str, method: str, params: Params) -> object:
        try:
            sessions.check_params(method, params)
            return await self._methods[method](session, params)
        except UmbelError as error:
            return error
        except Exception:
            log.exception("request failed", method=method, operation=params.get("operation"))
            return Crashed()

    async def _create(self, session: str, params: Params) -> Result:
        made = await self._registry.create(
            session, str(params["type"]), params.get("constructorParams")
        )
        return {"value": made.id}

    async def _describe(self, session: str, params: Params) -> Result:
        found = self._registry.get(str(params["object"]))
        parents = [entry.name for entry in SCHEMA.lineage(found.type)][1:]
        return {
            "type": found.type,
            "qualifiedType": f"{check.MODULE}.{found.type}",
            "hierarchy": [f"{check.MODULE}.{name}" for name in parents],
        }

    async def _invoke(self, session: str, params: Params) -> Result:
        found = self._registry.get(str(params["object"]))
        wanted = check.operation(SCHEMA, found.type, str(params["operation"]))
        given = check.arguments(SCHEMA, wanted, params.get("operationParams"))
        value = getattr(found, snake(wanted.name))(**self._bind(wanted, given))
        return {"value": await value if inspect.isawaitable(value) else value}

    async def _release(self, session: str, params: Params) -> Result:
        object_id = str(params["object"])
        await self._registry.release(object_id)
        self._sessions.subscriptions.drop_object(object_id)
        return {}

    async def _subscribe(self, session: str, params: Params) -> Result:
        found = self._registry.get(str(params["object"]))
        event = str(params["type"])
        check.event(SCHEMA, found.type, event)
        return {"value": self._sessions.subscribe(session, found.id, event)}

    async def _unsubscribe(self, session: str, params: Params) -> Result:
        self._sessions.subscriptions.remove(str(params["subscription"]), session)
        return {}

    async def _close_session(self, session: str, params: Params) -> Result:
        for pipeline in self._registry.pipelines(session):
            # A stream belongs to the platform, not to the session that made it.
            if params.get("release") is True or not pipeline.stream:
                await self._release(session, {"object": pipeline.id})
        return {}

    async def _transaction(self, session: str, params: Params) -> Result:
        operations = transaction.parse_operations(params.get("operations"))
        results: list[object] = []
        responses: list[object] = []
        for index, operation in enumerate(operations):
            outcome = await self._step(session, operation, results)
            responses.append(envelope.response(index, outcome))
            results.append(outcome)
            if isinstance(outcome, UmbelError):
                break
        return {"value": responses}

    async def _step(
        self, session: str, operation: transaction.Operation, results: list[object]
    ) -> object:
        try:
            params = {k: transaction.resolve(v, results) for k, v in operation.params.items()}
        except UmbelError as error:
            return error
        return await self._run(session, operation.method, params)

    def _bind(self, wanted: Signature, given: Params) -> dict[str, object]:
        """Python's arguments: names in snake case, ids as the objects they name."""
        kinds = {param.name: param.type for param in wanted.params}
        bound: dict[str, object] = {}
        for name, value in given.items():
            kind = kinds[name]
            bound[snake(name)] = self._object(kind, value) if kind in SCHEMA.elements else value
        return bound

    def _object(self, kind: str, value: object) -> MediaObject:
        found = self._registry.get(str(value))
        if kind not in {entry.name for entry in SCHEMA.lineage(found.type)}:
            raise ParamIllegal(f"{found.type} is not a {kind}")
        return found
