"""What can be asked of a supervisor over its control socket, each verb a method: arguments in, plain data out."""

from __future__ import annotations

import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from kirsch.errors import ControlError
from kirsch.link.order import LEAVE_SIGNAL
from kirsch.link.state import State, load_state
from kirsch.supervise.busverbs import BusVerbs
from kirsch.supervise.fleet import Fleet
from kirsch.supervise.retirement import inside
from kirsch.supervise.seat import Seat
from kirsch.supervise.worker import Worker

if TYPE_CHECKING:
    from kirsch.supervise.supervisor import Supervisor

#: Only look: their askers want no events.
QUIET = frozenset({"ping", "status", "bus", "call", "set", "purge_sessions", "afar"})
#: Go on when their asker has hung up: they end something, and half an end is worse than none.
STEADFAST = frozenset({"stop", "leave", "upgrade", "upgrade_nginx", "pause", "resume", "drain", "undrain", "kill"})

SIGNALS = ("TERM", "KILL", "ABRT", "STOP", "CONT")


class Verbs:
    """The verbs of one supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor

    def table(self) -> Mapping[str, Callable[[Mapping[str, Any]], Awaitable[Any]]]:
        """Return the verbs by name."""
        return {
            "ping": self.ping,
            "status": self.status,
            "roll": self.roll,
            "apply": self.apply,
            "scale": self.scale,
            "drain": self.drain,
            "undrain": self.undrain,
            "pause": self.pause,
            "resume": self.resume,
            "kill": self.kill,
            "upgrade": self.upgrade,
            "upgrade_nginx": self.upgrade_nginx,
            "stop": self.stop,
            "leave": self.leave,
            **BusVerbs(self.supervisor).table(),
        }

    async def ping(self, args: Mapping[str, Any]) -> Any:
        """Answer."""
        return {"pid": os.getpid()}

    async def status(self, args: Mapping[str, Any]) -> Any:
        """Return everything that is known."""
        return self.supervisor.view().to_status()

    async def roll(self, args: Mapping[str, Any]) -> Any:
        """Replace every worker: by the release of the state file, or by ``release``; ``detach`` does not wait."""
        state = self._read_state()
        release = args.get("release")
        if isinstance(release, str) and release != state.release:
            folder = f"{self.supervisor.paths.releases}/{release}"
            if not os.path.isdir(folder):
                raise ControlError(
                    f"there is no release {release} in {self.supervisor.paths.releases}", kind="unknown_release"
                )
            state = msgspec.structs.replace(state, release=release, release_dir=folder)
        return await self._roll_to(state, args)

    async def apply(self, args: Mapping[str, Any]) -> Any:
        """Roll to what the state file says."""
        return await self._roll_to(self._read_state(), args)

    async def scale(self, args: Mapping[str, Any]) -> Any:
        """Have ``pools`` = {pool: number of workers, or "auto"}."""
        wanted = args.get("pools")
        if not isinstance(wanted, dict) or not wanted:
            raise ControlError('scale wants {"pools": {pool: number or "auto"}}', kind="bad_argument")
        for name, count in wanted.items():
            most = self._fleet(name).spec.workers.max
            if count != "auto" and not (type(count) is int and 1 <= count <= most):
                raise ControlError(
                    f'{name}={count}: allowed: 1 to {most}, or "auto"; nginx knows {most} slots of this pool, as '
                    f"pool.{name}.workers says",
                    kind="bad_argument",
                )
        for name, count in wanted.items():
            await self.supervisor.scale(name, None if count == "auto" else count)
        return {"pools": {name: self._fleet(name).wanted for name in wanted}}

    async def drain(self, args: Mapping[str, Any]) -> Any:
        """Keep ``workers`` from new requests; what they have they finish, and they stay."""
        chosen = [self._seat(name) for name in self._names(args, "workers")]
        for fleet in {fleet.pool: fleet for fleet, _ in chosen}.values():
            leaving = [seat.worker for owner, seat in chosen if owner is fleet]
            if not fleet.is_paused and all(worker in leaving for worker in fleet.serving()):
                raise ControlError(
                    f"nobody of {fleet.pool} would be left; `pause {fleet.pool}` lets its requests wait",
                    kind="last_worker",
                )
        for fleet, seat in chosen:
            seat.is_out = True
            fleet.relink()
            if seat.is_ready and seat.worker is not None:
                seat.worker.signal(LEAVE_SIGNAL)  # after the slots have moved: who comes again comes elsewhere
            self._tell("drained", fleet, seat)
        return {"workers": [f"{fleet.pool}.{seat.number}" for fleet, seat in chosen]}

    async def undrain(self, args: Mapping[str, Any]) -> Any:
        """Give ``workers`` requests again."""
        chosen = [self._seat(name) for name in self._names(args, "workers")]
        for fleet, seat in chosen:
            seat.is_out = False
            fleet.relink()
            self._tell("undrained", fleet, seat)
        return {"workers": [f"{fleet.pool}.{seat.number}" for fleet, seat in chosen]}

    async def pause(self, args: Mapping[str, Any]) -> Any:
        """Let the requests of ``pools`` wait (all pools without it), ``hold_s`` seconds each, then 503."""
        fleets = self._fleets(args)
        hold_s = args.get("hold_s")
        for fleet in fleets:
            fleet.is_paused = True
            self.supervisor.holdings.hold_for(fleet.pool, float(hold_s) if isinstance(hold_s, int | float) else None)
            fleet.relink()
            self.supervisor.events.say("paused", pool=fleet.pool)
        return {"pools": [fleet.pool for fleet in fleets]}

    async def resume(self, args: Mapping[str, Any]) -> Any:
        """Let the requests of ``pools`` through again."""
        fleets = self._fleets(args)
        for fleet in fleets:
            fleet.is_paused = False
            self.supervisor.holdings.hold_for(fleet.pool, None)
            fleet.relink()
            self.supervisor.events.say("resumed", pool=fleet.pool)
        return {"pools": [fleet.pool for fleet in fleets]}

    async def kill(self, args: Mapping[str, Any]) -> Any:
        """Send ``signal`` (KILL) to ``workers``, names or process ids; return what each was inside of."""
        name = str(args.get("signal") or "KILL").upper().removeprefix("SIG")
        if name not in SIGNALS:
            raise ControlError(f"signal {name}: allowed: {', '.join(SIGNALS)}", kind="bad_argument")
        chosen = [worker for word in self._names(args, "workers") for worker in self._workers(word)]
        told = []
        for worker in chosen:
            lost = inside(worker)
            self.supervisor.events.say("kill", worker=worker.name, pid=worker.pid, message=name, inside=lost)
            worker.signal(signal.Signals[f"SIG{name}"])
            told.append({"name": worker.name, "pid": worker.pid, "inside": lost})
        return {"signal": name, "workers": told}

    async def upgrade_nginx(self, args: Mapping[str, Any]) -> Any:
        """Have the nginx at ``binary`` take the place of the one that runs; if it cannot, that one serves on."""
        return {"version": await self.supervisor.exchange_nginx(str(args.get("binary")))}

    async def upgrade(self, args: Mapping[str, Any]) -> Any:
        """Put another version of the supervisor in this one's place; ``python`` is its interpreter."""
        python = args.get("python")
        return await self.supervisor.upgrade(python if isinstance(python, str) else None)

    async def stop(self, args: Mapping[str, Any]) -> Any:
        """End everything; ``drain_s`` instead of what the pools say."""
        drain_s = args.get("drain_s")
        self.supervisor.stop(float(drain_s) if isinstance(drain_s, int | float) else None)
        return {"stopping": True}

    async def leave(self, args: Mapping[str, Any]) -> Any:
        """End the supervisor alone."""
        self.supervisor.leave()
        return {"leaving": True}

    # Arguments

    async def _roll_to(self, state: State, args: Mapping[str, Any]) -> Any:
        if args.get("detach"):
            self.supervisor.keep(self.supervisor.roll_aside(state))
            return {"started": True}
        return await self.supervisor.roll_to(state)

    def _read_state(self) -> State:
        path = self.supervisor.paths.state_file
        try:
            return load_state(path)
        except (OSError, msgspec.MsgspecError) as error:
            raise ControlError(f"{path}: {error}", kind="bad_state") from error

    def _names(self, args: Mapping[str, Any], key: str) -> list[str]:
        found = args.get(key)
        if not isinstance(found, list) or not found:
            raise ControlError(f'{key}: a list of names like "web.1"', kind="bad_argument")
        return [str(name) for name in found]

    def _fleet(self, name: str) -> Fleet:
        fleet = self.supervisor.fleets.get(name)
        if fleet is None:
            known = ", ".join(self.supervisor.fleets)
            raise ControlError(f"there is no pool {name}; there are: {known}", kind="unknown_pool")
        return fleet

    def _fleets(self, args: Mapping[str, Any]) -> list[Fleet]:
        names = args.get("pools") or list(self.supervisor.fleets)
        return [self._fleet(str(name)) for name in names]

    def _seat(self, name: str) -> tuple[Fleet, Seat]:
        """Find a seat by its worker's name."""
        for fleet in self.supervisor.fleets.values():
            for seat in fleet.seats.values():
                if f"{fleet.pool}.{seat.number}" == name:
                    return fleet, seat
        raise self._unknown(name)

    def _workers(self, word: str) -> list[Worker]:
        """Find workers by name (the one in the seat) or process id (any)."""
        everybody = [worker for fleet in self.supervisor.fleets.values() for worker in fleet.everybody()]
        if word.isdecimal():
            found = [worker for worker in everybody if worker.pid == int(word)]
            if not found:
                raise self._unknown(word)
            return found
        _, seat = self._seat(word)
        if seat.worker is None:
            raise ControlError(f"{word} has no process right now", kind="unknown_worker")
        return [seat.worker]

    def _unknown(self, word: str) -> ControlError:
        everybody = (worker for fleet in self.supervisor.fleets.values() for worker in fleet.everybody())
        known = ", ".join(f"{worker.name} ({worker.pid})" for worker in everybody) or "none"
        return ControlError(f"there is no worker {word}; there are: {known}", kind="unknown_worker")

    def _tell(self, kind: str, fleet: Fleet, seat: Seat) -> None:
        waits = inside(seat.worker) if seat.worker is not None else []
        self.supervisor.events.say(kind, worker=f"{fleet.pool}.{seat.number}", inside=waits or None)
