"""Walks that were made before, to be checked instead of made again.

Law: a remembered walk is used only if every object on it is still where it was, with the ``_cp_config`` it had; so
pages may be added, replaced and hidden at any time. Remembered are walks that took all segments, by their path, and
those to a page that takes the rest of the path as its arguments, by the part of the path that was walked: about as many
as there are pages, whatever clients ask for. What a dispatch method made is found by no ``getattr``: such a walk is
made anew.

PERF: stage_cost.py, dispatch of '/': 4.3 us walked, 1.6 us checked.
"""

from __future__ import annotations

from types import FunctionType, MethodType
from typing import Any

from cherrypy.core.plan import Plan

LIMIT = 4096
#: Arguments in a path for which a remembered walk is looked for.
MOST_ARGUMENTS = 4

# (name, object found, its _cp_config)
Step = tuple[str, Any, Any]


class Walk:
    """One walk: from the root to a page.

    Attributes:
        root, root_conf: where it began.
        steps: each name with what was found there; beyond the page only None.
        page: the last object found, an exposed page.
        plan: the configuration along the walk.
        is_index: the page was found as 'index'.
        is_default: the page was found as 'default' of the last object walked.
    """

    __slots__ = ("attributes", "checks", "is_default", "is_index", "page", "plan", "root", "root_conf", "steps")

    def __init__(
        self,
        root: Any,
        root_conf: Any,
        steps: tuple[Step, ...],
        page: Any,
        plan: Plan,
        is_index: bool,
        is_default: bool = False,
    ) -> None:
        self.root = root
        self.root_conf = root_conf
        self.steps = steps
        self.page = page
        self.plan = plan
        self.is_index = is_index
        self.is_default = is_default
        self.checks = [_check(*step) for step in steps]
        # of the function, if the page is a method that takes arguments
        self.attributes: dict[str, Any] | None = None if is_default or not steps else self.checks[-1][3]

    def still_leads_to(self, root: Any) -> Any:
        """Return the page if the walk from *root* would be the same today, else None."""
        if root is not self.root or getattr(root, "_cp_config", None) is not self.root_conf:
            return None
        node = page = root
        attributes: Any = None  # of the function, if the page is a method
        for name, expected, function, function_attributes, owner, conf in self.checks:
            if expected is None:
                # a method has the attributes of its function
                if getattr(node, name, None) is not None if attributes is None else name in attributes:
                    return None
                break
            node = getattr(node, name, None)
            if function is None:
                if node is not expected or getattr(node, "_cp_config", None) is not conf:
                    return None
            elif (
                # PERF: comparing bound methods, and asking them for attributes, costs 0.4 us more a step
                node.__class__ is not MethodType
                or node.__func__ is not function
                or node.__self__ is not owner
                or function_attributes.get("_cp_config") is not conf
            ):
                return None
            attributes = function_attributes
            page = node
        plan = self.plan
        if plan.snapshots and not plan.is_current():
            return None
        if attributes is not None:
            return page if attributes.get("exposed", False) else None
        if not getattr(page, "exposed", False):
            return None
        if not self.is_default and page.__class__ is not FunctionType:
            # an object that is a page itself may have got a default, which goes before it
            default = getattr(page, "default", None)
            if default is not None and getattr(default, "exposed", False):
                return None
        return page


def _check(name: str, expected: Any, conf: Any) -> tuple[str, Any, Any, Any, Any, Any]:
    """Return what one step is checked by: function, its attributes and its owner, if it led to a method."""
    if expected.__class__ is MethodType and expected.__func__.__class__ is FunctionType:
        return name, expected, expected.__func__, expected.__func__.__dict__, expected.__self__, conf
    return name, expected, None, None, None, conf


def find(walks: dict[Any, Walk], path: str, dispatcher: Any) -> tuple[Walk | None, list[str]]:
    """Return the remembered walk for *path*, still to be checked, and the segments that are its page's arguments."""
    walk = walks.get(path)
    if walk is not None:
        return walk, []
    prefix = path
    for _ in range(MOST_ARGUMENTS):
        prefix, _, segment = prefix.rpartition("/")
        if not segment:
            break  # '//', or a slash at the end
        walk = walks.get((prefix,))
        if walk is not None:
            if not is_argument_of(walk, segment, dispatcher):
                break
            return walk, path[len(prefix) + 1 :].split("/")
    return None, []


def is_argument_of(walk: Walk, segment: str, dispatcher: Any) -> bool:
    """True if the walk would end where it did with *segment* behind it."""
    attributes = walk.attributes
    if attributes is not None and segment.isalnum():
        # PERF: what a method has beyond its function's attributes is underscored; a failing getattr costs 0.4 us
        return segment not in attributes and dispatcher.dispatch_method_name not in attributes
    if walk.is_default:
        node = walk.steps[-2][1] if len(walk.steps) > 1 else walk.root
    else:
        node = walk.page
    return (
        getattr(node, dispatcher._attribute(segment), None) is None
        and getattr(node, dispatcher.dispatch_method_name, None) is None
    )


def prefix_worth_keeping(
    trail: list[Any], position: int, is_default: bool, path: str, sections: frozenset[str]
) -> str | None:
    """Return the part of *path* that was walked if the page takes the rest as its arguments, and that may come again.

    Args:
        trail: the steps from the root to 'index': (object, segments left after it, ...).
        position: of the object that is the page, or has it as its default.
        is_default: the latter.
        path: as requested.
        sections: paths that the application configures.
    """
    node, left = trail[position][:2]
    total = trail[0][1]
    segments = path.split("/")
    if not 1 < left <= MOST_ARGUMENTS + 1 or len(segments) != total or "" in segments[1:]:
        return None
    if trail[position + 1][0] is not None or (not is_default and node.__class__ not in (MethodType, FunctionType)):
        return None
    prefix = "/".join(segments[: total - left + 1])
    if any(section.startswith(prefix + "/") for section in sections):
        return None
    return prefix


def worth_keeping(trail: list[Any], position: int, left: int) -> bool:
    """True for a walk whose page took all segments and beyond which there is nothing."""
    return left <= 1 and all(step[0] is None for step in trail[position + 1 :])
