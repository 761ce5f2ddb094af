"""What platforms document of themselves, as dated data, and how channels read it."""
