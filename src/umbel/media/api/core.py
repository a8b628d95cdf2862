"""Kurento's own types, as far as this server has them (kurento module `core`)."""

from umbel.media.api.schema import ElementType, ValueType, element, params

VALUES: tuple[ValueType, ...] = (
    ValueType(name="MediaType", doc="A medium.", words=("AUDIO", "VIDEO", "DATA")),
    ValueType(
        name="Tag", doc="A remark on an object.", fields=params("key: String, value: String")
    ),
    ValueType(
        name="ModuleInfo",
        doc="A group of element types.",
        fields=params("name: String, version: String, factories: String[]"),
    ),
    ValueType(
        name="ServerInfo",
        doc="What the server is.",
        fields=params(
            "version: String, modules: ModuleInfo[], type: String, capabilities: String[]"
        ),
    ),
    ValueType(
        name="ElementConnectionData",
        doc="One connection between two elements.",
        fields=params("source: MediaElement, sink: MediaElement, type: MediaType"),
    ),
    ValueType(
        name="ElementStats",
        doc="Counts since the element was made; `bitrate` is bit/s over the last seconds.",
        fields=params(
            "id: String, type: String, timestampMillis: int64, packets: int64, bytes: int64, "
            "bitrate: int64"
        ),
    ),
)

ELEMENTS: tuple[ElementType, ...] = (
    element(
        "MediaObject",
        "",
        "Anything with an id.",
        operations={
            "addTag(key: String, value: String)": "Remark on the object; the key's old value goes.",
            "removeTag(key: String)": "Drop a remark.",
            "getTag(key: String) -> String": "A remark's value.",
            "getTags() -> Tag[]": "Every remark.",
        },
        readable={
            "id: String": "Where it is: its parent's id, `/`, and its own.",
            "mediaPipeline: MediaPipeline": "The pipeline it belongs to.",
            "parent: MediaObject": "What it was made in.",
            "children: MediaObject[]": "What was made in it.",
            "creationTime: int": "Epoch seconds.",
        },
        writable={"name: String": "For people; the id at first."},
    ),
    element(
        "ServerManager",
        "MediaObject",
        "The server itself; its id is `manager_ServerManager`.",
        operations={
            "getCpuCount() -> int": "Cores of the machine.",
            "getUsedCpu(interval: int?) -> float": "The process's share of one core, in percent.",
            "getUsedMemory() -> int64": "The process's memory in KiB.",
            "getStreams(stream: String?) -> StreamInfo[]": "What it does with each stream, or one.",
        },
        readable={
            "info: ServerInfo": "Version and modules.",
            "metadata: String": "The function's id.",
            "pipelines: MediaPipeline[]": "Every pipeline.",
            "sessions: String[]": "Every session.",
        },
        events={
            "ObjectCreated(object: String)": "An object was made.",
            "ObjectDestroyed(objectId: String)": "An object is gone.",
            "IngestStateChanged(stream: String, state: IngestInfo)": "As of any IngestEndpoint.",
        },
    ),
    element(
        "MediaPipeline",
        "MediaObject",
        "What carries one stream. With a `stream` it is named by it, there is one of that name, "
        "and it lives until it is released; without, it is a plain pipeline of its session.",
        new="stream: String?, role: StreamRole?",
        operations={
            "revokeSessions(sessions: int64<>)": "End these viewers' sessions and refuse their "
            "tokens from now on: by session, the epoch second at which the token expires.",
        },
    ),
    element(
        "MediaElement",
        "MediaObject",
        "Something packets flow through.",
        operations={
            "connect(sink: MediaElement, mediaType: MediaType?, sourceMediaDescription: String?, "
            "sinkMediaDescription: String?)": "Give this element's packets to the sink too, "
            "of one medium or all. A sink has one source for each medium: what fed it before is "
            "disconnected.",
            "disconnect(sink: MediaElement, mediaType: MediaType?, "
            "sourceMediaDescription: String?, sinkMediaDescription: String?)": "No more packets.",
            "requestKeyframe()": "Ask what feeds this element for a key picture. The request "
            "goes up to the encoder where the protocol has a way, at most once a second.",
            "getSourceConnections(mediaType: MediaType?, description: String?) "
            "-> ElementConnectionData[]": "What gives packets to this element.",
            "getSinkConnections(mediaType: MediaType?, description: String?) "
            "-> ElementConnectionData[]": "What takes this element's packets.",
            "getStats(mediaType: MediaType?) -> ElementStats<>": "Counts by element id.",
            "isMediaFlowingIn(mediaType: MediaType, sinkMediaDescription: String?) -> boolean": (
                "Whether packets came in during the last 2 seconds."
            ),
            "isMediaFlowingOut(mediaType: MediaType, sourceMediaDescription: String?) -> boolean": (
                "Whether packets went out during the last 2 seconds."
            ),
            "isMediaTranscoding(mediaType: MediaType, binName: String?) -> boolean": (
                "Whether the element decodes and encodes that medium."
            ),
        },
        events={
            "ElementConnected(sink: MediaElement, mediaType: MediaType)": "connect was called.",
            "ElementDisconnected(sink: MediaElement, mediaType: MediaType)": "And disconnect.",
        },
    ),
    element("Endpoint", "MediaElement", "Where media enters or leaves the server."),
)
