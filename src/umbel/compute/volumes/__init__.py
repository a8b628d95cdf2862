"""Volumes: disks that outlive the guests they are attached to."""
