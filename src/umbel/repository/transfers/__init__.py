"""Addresses of single transfers: who has one may upload to an item, or read it, for a while."""
