"""What builds and ships the product; nothing in here is imported by it."""
