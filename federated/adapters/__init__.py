"""What carries the messages of channels: one port, and adapters that settings.FEDERATED_ADAPTERS configures."""
