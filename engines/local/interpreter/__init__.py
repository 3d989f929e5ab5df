"""The state machine of a Workflow, on plain data: it decides what runs next, without files, processes or a clock."""
