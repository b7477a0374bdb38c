"""The Evolution API: its words, a typed client, and what its replies prove."""
