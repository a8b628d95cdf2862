"""The operator's network as it is: its documents, paths, switches' sites and how they are wired."""
