"""The media protocol: Kurento's JSON-RPC 2.0 without sockets."""
