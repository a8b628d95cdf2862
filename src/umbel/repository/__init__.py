"""Recorded media and any other content: kept whole, read by ranges, behind one service."""
