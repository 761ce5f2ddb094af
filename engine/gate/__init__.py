"""What every message passes: stages as pure decisions over a `GateState`."""
