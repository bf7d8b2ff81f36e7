"""The Python SDK and the `strongroom` command: all that a person signs is decoded and signed here."""
