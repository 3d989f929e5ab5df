"""What a Workflow does next, as a state machine of plain data: no files, no processes, no clock of its own."""
