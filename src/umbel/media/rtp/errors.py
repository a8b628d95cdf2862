"""Errors that encoders and WebRTC clients share: one class for each code."""

from umbel.kit.errors import Invalid


class MalformedSdp(Invalid):
    """The text is not a valid session description. `details` name the line if it is known."""

    code = "umbel.malformed_sdp"


class PictureTooLarge(Invalid):
    """The pictures have more pixels than this platform takes; send smaller ones."""

    code = "umbel.picture_too_large"


class UnsupportedCodec(Invalid):
    """The platform cannot use this codec, or any codec of the offer."""

    code = "umbel.unsupported_codec"


class BadSource(Invalid):
    """A source must be an IP address, or a prefix where encoders come from; at most 64 of them."""

    code = "umbel.bad_source"
