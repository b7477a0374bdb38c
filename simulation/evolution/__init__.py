"""Evolution API servers: the model of `evolution_simulator`, called in this process."""
