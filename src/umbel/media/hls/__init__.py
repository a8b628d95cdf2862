"""fMP4 and playlists without any I/O."""
