"""Tests of the simulated Evolution API server."""
