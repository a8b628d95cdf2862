"""Umbel's own types: a stream's ingest, hops and viewers (kurento module `elements`)."""

from umbel.media.api.schema import ElementType, ValueType, element, params

VALUES: tuple[ValueType, ...] = (
    ValueType(
        name="StreamRole",
        doc="What a function does with a stream.",
        words=("acquirer", "forwarder", "edge", "transcoder"),
    ),
    ValueType(name="Target", doc="A UDP destination.", fields=params("address: String, port: int")),
    ValueType(
        name="StreamUrl",
        doc="Where clients reach a stream, by protocol.",
        fields=params("protocol: String, url: String"),
    ),
    ValueType(
        name="IngestInfo",
        doc="What is taken in; `protocol` is empty while nobody publishes, `transcoding` says what "
        "is being converted and why. `keyIntervalS`: seconds between key pictures, 0: not known.",
        fields=params(
            "protocol: String, video: String, audio: String, width: int, height: int, "
            "transcoding: String, error: String, keyIntervalS: float"
        ),
    ),
    ValueType(
        name="StreamInfo",
        doc="A stream's pipeline and what it does. Rates in Mbit/s; `parts`: element ids by type.",
        fields=params(
            "stream: String, role: StreamRole, pipeline: String, parts: String<>, port: int, "
            "sources: String[], hops: Target[], urls: StreamUrl[], ingest: IngestInfo?, "
            "viewers: String[], mbpsIn: float, mbpsOut: float, flowing: boolean, "
            "rtpAnswer: String, picturesRequested: int"
        ),
    ),
)

ELEMENTS: tuple[ElementType, ...] = (
    element(
        "IngestEndpoint",
        "Endpoint",
        "Takes the provider's stream by RTMP, SRT, WHIP or RTP, and makes it H.264 and Opus.",
        new="mediaPipeline: MediaPipeline, keyHashes: String[]?, rtpOffer: String?, "
        "ports: int[]?, sources: String[]?",
        readable={
            "urls: StreamUrl[]": "Where encoders push.",
            "state: IngestInfo": "What comes in now.",
            "rtpAnswer: String": "SDP that tells a described RTP publisher where to send.",
        },
        writable={
            "keyHashes: String[]": "SHA-256 of every stream key that opens it, in hex.",
            "sources: String[]": "Addresses and prefixes from which RTP and MPEG-TS are taken, at "
            "most 64; none: from the first host that sends.",
            "rtpOffer: String": "SDP that describes what an RTP publisher will send.",
        },
        events={"IngestStateChanged(stream: String, state: IngestInfo)": "It started or stopped."},
    ),
    element(
        "RtpReceiver",
        "Endpoint",
        "Takes a stream from the hop before, on a UDP port of its own.",
        new="mediaPipeline: MediaPipeline, sources: String[]?",
        readable={"address: String": "Where it listens.", "port: int": "On which port."},
        writable={
            "sources: String[]": "IP addresses of the hosts that may send to it, at most 64; "
            "none: any host may.",
        },
    ),
    element(
        "RtpSender",
        "Endpoint",
        "Sends a stream on to the hops after, unchanged.",
        new="mediaPipeline: MediaPipeline, hops: Target[]?",
        writable={"hops: Target[]": "Where to."},
    ),
    element(
        "Transcoder",
        "MediaElement",
        "Makes a rendition of the stream it is given: H.264 of at most that height, the same Opus.",
        new="mediaPipeline: MediaPipeline, height: int",
        writable={
            "height: int": "Of the pictures, in pixels: even, 16 to 4320. A lower source keeps its "
            "size. Another one begins a new stream of packets, as a restart does."
        },
    ),
    element(
        "WhepEndpoint",
        "Endpoint",
        "Serves a stream to viewers by WHEP.",
        new="mediaPipeline: MediaPipeline",
        readable={
            "url: String": "Where players post their offer.",
            "viewers: String[]": "The sessions of connected viewers.",
        },
    ),
    element(
        "HlsEndpoint",
        "Endpoint",
        "Serves a stream to viewers by low-latency HLS.",
        new="mediaPipeline: MediaPipeline",
        readable={
            "url: String": "The playlist.",
            "viewers: String[]": "The sessions that asked for anything in the last 10 seconds.",
        },
    ),
)
