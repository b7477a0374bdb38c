"""Pairing a phone."""
