"""Projects of OpenStack clouds as nodes: servers there run functions."""
