"""From YAML that operators write to a checked bundle that the core understands."""
