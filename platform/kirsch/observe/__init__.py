"""What can be seen of a stack: the view, metrics, health, the status page."""
