"""A worker's seat on the bus between processes: ``cherrypy.engine.cluster``, there before the applications are."""

from __future__ import annotations

import os
from collections.abc import Iterable

import cherrypy
from kirsch.link.cluster import Cluster, join, join_hub
from kirsch.link.lines import SocketLine
from kirsch.link.order import Order
from kirsch.link.wire import Member
from kirsch.spec import App
from kirsch.worker.purge import open_purges
from kirsch.worker.settings import LiveSettings

#: How long a boot waits for the hub: without one the worker serves all the same, and joins when there is one.
JOIN_S = 2.0


def attach(order: Order) -> Cluster:
    """Join the hub of the host; a worker that was started by hand is a cluster of one."""
    if not order.bus_socket:
        return join(cherrypy.engine)
    cluster = join_hub(cherrypy.engine, _describe(order), order.bus_socket)
    open_purges(cluster)
    cluster.join(JOIN_S)
    return cluster


def make_member(order: Order) -> Cluster:
    """Make the seat in a template: applications find it while they are imported, and nobody hears of it."""
    cluster = cherrypy.engine.cluster = Cluster(cherrypy.engine, _describe(order), SocketLine(order.bus_socket))
    open_purges(cluster)
    return cluster


def attach_forked(order: Order, cluster: Cluster) -> None:
    """Join the hub of the host with the seat that the template has made."""
    cluster.become(_describe(order))
    cluster.subscribe()
    cluster.join(JOIN_S)


def _describe(order: Order) -> Member:
    return Member(name=order.name, pool=order.pool, generation=order.generation, pid=os.getpid())


def obey(cluster: Cluster, apps: Iterable[App]) -> None:
    """Take over what the operator has set, now that the applications' own configuration is there, and from now on."""
    LiveSettings(apps).follow(cluster)
