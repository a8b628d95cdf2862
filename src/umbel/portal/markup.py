"""What every text needs before it goes into XML of ours. Pure."""

import re

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def xml_text(text: str) -> str:
    """The text without what XML 1.0 cannot hold (section 2.2); the serializer escapes the rest."""
    return _NOT_XML.sub("", text)
