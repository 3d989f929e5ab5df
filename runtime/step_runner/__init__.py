"""The step runner: carries out the actions that a manifest gives a container as arguments."""
