"""The channel over which a federated training's roles talk: one port, two adapters."""
