"""Umbel's own types: a stream's ingest, hops and viewers (kurento module `elements`)."""

from umbel.media.api.schema import ElementType, ValueType, element, params

VALUES: tuple[ValueType, ...] = (
    ValueType(
        name="StreamRole",
        doc="What a function does with a stream.",
        words=("acquirer", "forwarder", "edge", "transcoder", "recorder"),
    ),
    ValueType(name="VideoCodec", doc="How pictures are coded.", words=("H264", "VP8")),
    ValueType(
        name="Target",
        doc="A UDP destination. With a burst, a new one begins with the pictures since the last "
        "key picture but one, as far as they are remembered.",
        fields=params("address: String, port: int, burst: boolean?"),
    ),
    ValueType(
        name="StreamUrl",
        doc="Where clients reach a stream, by protocol.",
        fields=params("protocol: String, url: String"),
    ),
    ValueType(
        name="IngestInfo",
        doc="What is taken in; `protocol` is empty while nobody publishes, `transcoding` says what "
        "is being converted and why. `keyIntervalS`: seconds between key pictures, `fps`: pictures "
        "a second, 0: not known. Of the last 10 s, from 0 to 1: `packetLoss`, packets lost on the "
        "way, and `frameLoss`, pictures that the encoder left out.",
        fields=params(
            "protocol: String, video: String, audio: String, width: int, height: int, "
            "transcoding: String, error: String, keyIntervalS: float, fps: float, "
            "packetLoss: float, frameLoss: float"
        ),
    ),
    ValueType(
        name="Thumbnail",
        doc="A small picture: JPEG in base64, and the seconds since it came in.",
        fields=params("jpeg: String, ageS: float"),
    ),
    ValueType(
        name="Cue",
        doc="A caption: from when until when it was said, in epoch seconds of the stream's clock.",
        fields=params("number: int, text: String, startS: float, endS: float"),
    ),
    ValueType(
        name="CueBatch",
        doc="What was recognised. `boot`: the life in which cues have these numbers; `droppedS`: "
        "how much sound was left out; `problem`: why nothing comes, or empty.",
        fields=params("boot: String, cues: Cue[], droppedS: float, problem: String"),
    ),
    ValueType(
        name="StreamInfo",
        doc="A stream's pipeline and what it does. Rates in Mbit/s; `parts`: element ids by type; "
        "`srtpKeyId`: which key protects packets from and to other functions, empty for none; "
        "`unpulled`: whole segments of a recorder; `over`: it takes no more packets; "
        "`held`: it keeps the open segment alone; `hlsViewers`: those of `viewers` over HLS.",
        fields=params(
            "stream: String, role: StreamRole, pipeline: String, parts: String<>, port: int, "
            "sources: String[], hops: Target[], urls: StreamUrl[], ingest: IngestInfo?, "
            "viewers: String[], mbpsIn: float, mbpsOut: float, flowing: boolean, "
            "rtpAnswer: String, picturesRequested: int, srtpKeyId: String?, unpulled: int?, "
            "over: boolean?, held: boolean?, hlsViewers: String[]?"
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
        operations={
            "getThumbnail() -> Thumbnail": "A picture of the last minute, at most 640 x 360, or "
            "null. Each call has the next one made if the newest is 10 s old.",
            "getCues(language: String, boot: String, after: int) -> CueBatch": "What is said: at "
            "most 64 cues after that number of that life, or null while nothing comes in. Speech "
            "is recognised in that language until nobody called this for 30 s.",
        },
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
        new="mediaPipeline: MediaPipeline, sources: String[]?, srtpKey: String?",
        operations={
            "setSrtpKey(srtpKey: String)": "Read packets that are protected with this key: 32 "
            "bytes in base64, which nothing gives back; empty: packets are plain."
        },
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
        new="mediaPipeline: MediaPipeline, hops: Target[]?, srtpKey: String?",
        operations={
            "setSrtpKey(srtpKey: String)": "Protect packets with this key, as RtpReceiver "
            "reads them; empty: send them plain."
        },
        writable={"hops: Target[]": "Where to."},
    ),
    element(
        "Transcoder",
        "MediaElement",
        "Makes a rendition of the stream it is given: pictures of at most that height in that "
        "codec (H.264 where none is named), the same Opus.",
        new="mediaPipeline: MediaPipeline, height: int, codec: VideoCodec?",
        readable={"codec: VideoCodec": "In which it makes them."},
        writable={
            "height: int": "Of the pictures, in pixels: even, 16 to 4320. A lower source keeps its "
            "size. Another one begins a new stream of packets, as a restart does."
        },
    ),
    element(
        "WhepEndpoint",
        "Endpoint",
        "Serves a stream to viewers by WHEP. The codec is what offers are answered with before the "
        "first packet has come; after that it is the stream's.",
        new="mediaPipeline: MediaPipeline, codec: VideoCodec?",
        readable={
            "url: String": "Where players post their offer.",
            "viewers: String[]": "The sessions of connected viewers.",
        },
    ),
    element(
        "HlsEndpoint",
        "Endpoint",
        "Serves a stream to viewers by low-latency HLS, and later with captions as subtitles.",
        new="mediaPipeline: MediaPipeline",
        operations={
            "putCaptions(language: String, cues: Cue[])": "What was said lately, at most 64 cues, "
            "in place of what was known of it. A stream of which this was not called for 30 s has "
            "no captions for players that come."
        },
        readable={
            "url: String": "The playlist.",
            "subtitledUrl: String": "The playlist with subtitles, 12 s later.",
            "viewers: String[]": "The sessions that asked for anything in the last 10 seconds.",
        },
    ),
    element(
        "SegmentRecorder",
        "Endpoint",
        "Cuts a stream into segments of fragmented MP4, without transcoding, and keeps those that "
        "are whole until they are pulled: at most 120 s and 128 MiB, the oldest go first.",
        new="mediaPipeline: MediaPipeline, recordToken: String, held: boolean?, over: boolean?",
        operations={
            "setRecordToken(recordToken: String)": "Give segments to callers with this token: 32 "
            "to 128 letters, digits, - or _, which nothing gives back.",
            "setHeld(held: boolean)": "true: keep the open segment alone. false: keep all from the "
            "open one on.",
            "setOver(over: boolean)": "true: the stream is over. The open segment ends, and "
            "nothing is added to it any more, for good.",
        },
        readable={
            "url: String": "Where segments are pulled.",
            "dropped: int": "Segments that nobody pulled in time.",
        },
    ),
)
