"""Recorded answers of real Evolution API servers, and what it takes to compare with them."""
