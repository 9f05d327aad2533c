"""What processes of a stack say to each other: frames, orders, reports, the state a supervisor starts from; the bus."""

from kirsch.link.cluster import Cluster, join

__all__ = ["Cluster", "join"]
