"""The federated manager: the server of a federated training, or one of its clients."""
