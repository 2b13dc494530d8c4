"""What channels told us: received once, read where needed, understood as differences, posted."""
