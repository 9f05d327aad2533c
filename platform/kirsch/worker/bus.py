"""A worker's seat on the bus between processes: ``cherrypy.engine.cluster``, there before the applications are."""

from __future__ import annotations

import os

import cherrypy
from kirsch.link.cluster import Cluster, join, join_hub
from kirsch.link.order import Order
from kirsch.link.wire import Member
from kirsch.worker.purge import open_purges
from kirsch.worker.settings import LiveSettings

#: How long a boot waits for the hub: without one the worker serves all the same, and joins when there is one.
JOIN_S = 2.0


def attach(order: Order) -> Cluster:
    """Join the hub of the host; a worker that was started by hand is a cluster of one."""
    if not order.bus_socket:
        return join(cherrypy.engine)
    member = Member(name=order.name, pool=order.pool, generation=order.generation, pid=os.getpid())
    cluster = join_hub(cherrypy.engine, member, order.bus_socket)
    open_purges(cluster)
    cluster.join(JOIN_S)
    return cluster


def obey(cluster: Cluster) -> None:
    """Take over what the operator has set, now that the applications' own configuration is there, and from now on."""
    live = LiveSettings()
    live.follow(cluster)
