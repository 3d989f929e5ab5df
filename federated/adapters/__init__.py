"""The ways a channel's messages go: one port, an adapter for each way, chosen by settings.FEDERATED_ADAPTERS."""
