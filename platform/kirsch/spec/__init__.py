"""What the operator wrote: frozen, validated, with the key's path in every error."""

from kirsch.spec.app import App
from kirsch.spec.bus import Bus
from kirsch.spec.guard import Auth, Maintenance, Rate
from kirsch.spec.host import DeployOptions, Host, Inventory
from kirsch.spec.load import load_inventory, load_stack, place_stack
from kirsch.spec.paths import SOCKET_PATH_LIMIT_BYTES, HostPaths, run_dir_for, run_name
from kirsch.spec.pool import Pool, Workers
from kirsch.spec.probe import Health, Probe
from kirsch.spec.route import Cache, Route
from kirsch.spec.size import Bytes
from kirsch.spec.stack import Stack, dump_json, stack_from_data, stack_from_json
from kirsch.spec.tls import Certificate, Hsts, Tls
from kirsch.spec.upstream import Member, Sticky, Upstream
from kirsch.spec.vhost import Listen, Vhost

__all__ = [
    "load_stack",
    "load_inventory",
    "place_stack",
    "dump_json",
    "stack_from_json",
    "stack_from_data",
    "Stack",
    "App",
    "Pool",
    "Workers",
    "Upstream",
    "Member",
    "Sticky",
    "Vhost",
    "Listen",
    "Tls",
    "Certificate",
    "Route",
    "Cache",
    "Rate",
    "Auth",
    "Maintenance",
    "Hsts",
    "Health",
    "Probe",
    "Bus",
    "Bytes",
    "Inventory",
    "Host",
    "DeployOptions",
    "HostPaths",
    "run_dir_for",
    "run_name",
    "SOCKET_PATH_LIMIT_BYTES",
]
