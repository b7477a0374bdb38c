"""Evidence over time becomes an assessment. No I/O, and no clock of its own."""
