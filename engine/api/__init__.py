"""The HTTP side: intake for Segment's client libraries, the operators' API, unsubscribe links, health."""
