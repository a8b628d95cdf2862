"""The media server: objects made on request, wired to drivers, served over two listeners."""
