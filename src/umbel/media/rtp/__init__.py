"""RTP and RTCP without any I/O."""
