"""The documented modules, and the names that died long ago: each is there, or says what to use instead."""

from __future__ import annotations

import importlib
import subprocess
import sys
from typing import Any
from unittest import mock

import pytest

import cherrypy
from cherrypy.process import servers

# {module: names that it is known for}
MODULES = {
    "cherrypy": "engine server tree tools config log checker request response serving thread_data url expose popargs "
    "quickstart",
    "cherrypy._cpchecker": "Checker",
    "cherrypy._cpcompat": "ntob ntou tonative assert_native text_or_bytes HTTPSConnection",
    "cherrypy._cpconfig": "Config merge environments",
    "cherrypy._cpdispatch": "PageHandler LateParamPageHandler Dispatcher MethodDispatcher RoutesDispatcher VirtualHost",
    "cherrypy._cperror": "HTTPError HTTPRedirect InternalRedirect NotFound get_error_page format_exc bare_error",
    "cherrypy._cplogging": "LogManager WSGIErrorHandler LazyRfc3339UtcTime logfmt",
    "cherrypy._cpmodpy": "handler setup ModPythonServer",
    "cherrypy._cpnative_server": "CPHTTPServer NativeGateway",
    "cherrypy._cpreqbody": "Entity RequestBody Part SizedReader process_urlencoded process_multipart",
    "cherrypy._cprequest": "Request Response Hook HookMap hookpoints LazyUUID4 ResponseBody",
    "cherrypy._cpserver": "Server",
    "cherrypy._cptools": "Tool HandlerTool HandlerWrapperTool ErrorTool SessionTool SessionAuthTool CachingTool "
    "XMLRPCController Toolbox default_toolbox",
    "cherrypy._cptree": "Application Tree",
    "cherrypy._cpwsgi": "CPWSGIApp AppResponse ExceptionTrapper InternalRedirector VirtualHost downgrade_wsgi_ux_to_1x",
    "cherrypy._cpwsgi_server": "CPWSGIServer CPWSGIHTTPRequest",
    "cherrypy._helper": "expose popargs url normalize_path classproperty",
    "cherrypy._json": "json encode decode",
    "cherrypy.daemon": "start run",
    "cherrypy.__main__": "run",
    "cherrypy.lib": "is_iterator is_closable_iterator file_generator file_generator_limited set_vary_header",
    "cherrypy.lib.auth_basic": "basic_auth checkpassword_dict",
    "cherrypy.lib.auth_digest": "digest_auth get_ha1_dict get_ha1_dict_plain get_ha1_file_htdigest synthesize_nonce",
    "cherrypy.lib.caching": "MemoryCache get expires tee_output",
    "cherrypy.lib.covercp": "start serve CoverStats get_tree",
    "cherrypy.lib.cpstats": "StatsTool StatsPage extrapolate_statistics",
    "cherrypy.lib.cptools": "SessionAuth MonitoredHeaderMap validate_etags proxy accept autovary convert_params",
    "cherrypy.lib.encoding": "decode ResponseEncoder UTF8StreamEncoder compress decompress gzip prepare_iter",
    "cherrypy.lib.gctools": "GCRoot RequestCounter ReferrerTree request_counter get_instances get_context",
    "cherrypy.lib.headers": "parse_header",
    "cherrypy.lib.httputil": "HeaderMap HeaderElement AcceptElement HTTPDate get_ranges header_elements urljoin "
    "valid_status",
    "cherrypy.lib.jsontools": "json_in json_out json_processor json_handler",
    "cherrypy.lib.locking": "LockChecker LockTimeout Timer NeverExpires",
    "cherrypy.lib.profiler": "Profiler ProfileAggregator make_app serve",
    "cherrypy.lib.reprconf": "unrepr Parser NamespaceSet attributes modules Config as_dict",
    "cherrypy.lib.sessions": "Session RamSession FileSession MemcachedSession init save close expire "
    "set_response_cookie",
    "cherrypy.lib.static": "serve_file serve_fileobj serve_download staticdir staticfile",
    "cherrypy.lib.xmlrpcutil": "process_body patched_path respond on_error",
    "cherrypy.process": "bus plugins servers",
    "cherrypy.process.wspbus": "Bus states bus ChannelFailures",
    "cherrypy.process.plugins": "SimplePlugin SignalHandler DropPrivileges Daemonizer PIDFile PerpetualTimer "
    "BackgroundTask Monitor Autoreloader ThreadManager",
    "cherrypy.process.servers": "ServerAdapter FlupCGIServer FlupFCGIServer FlupSCGIServer Timeouts _safe_wait",
    "cherrypy.test.helper": "CPWebCase CPProcess setup_client",
    "cherrypy.test.webtest": "WebCase openURL cleanHeaders shb interface server_error",
    "cherrypy.tutorial": "thing2",
}


@pytest.mark.parametrize("module", MODULES)
def test_a_documented_module_has_its_names(module: str) -> None:
    """Row by row of the list of modules."""
    imported = importlib.import_module(module)

    assert not [name for name in MODULES[module].split() if not hasattr(imported, name)]


@pytest.mark.parametrize("name", ["wsgiserver", "lib.http", "lib.httpauth", "lib.auth", "lib.tidy"])
def test_what_cherrypy_removed_long_ago_is_not_importable(name: str) -> None:
    """Old applications ask for it in ``try: ... except ImportError:`` and go on with its successor."""
    with pytest.raises(ImportError):
        importlib.import_module(f"cherrypy.{name}")


@pytest.mark.parametrize(
    "name", ["TimeoutError", "wsgiserver", "tools.basic_auth", "tools.digest_auth", "engine.timeout_monitor"]
)
def test_what_cherrypy_removed_long_ago_is_no_attribute(name: str) -> None:
    """They ask with hasattr, too."""
    owner, _, last = f"cherrypy.{name}".rpartition(".")

    assert not hasattr(eval(owner, {"cherrypy": cherrypy}), last)


@pytest.mark.parametrize("key", ["engine.timeout_monitor.on", "engine.autoreload_on", "response.timeout", "log_file"])
def test_old_configuration_keys_stop_nothing(key: str) -> None:
    """They are said once, and the rest of the configuration is applied."""
    code = f"""
import cherrypy
cherrypy.config.update({{{key!r}: False, 'server.socket_port': 9}})
print(cherrypy.server.socket_port)
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)

    assert done.stdout == "9\n", done.stderr


@pytest.mark.parametrize("name", ["wait_for_occupied_port", "wait_for_free_port", "client_host"])
def test_the_port_probes_of_old_can_be_imported_and_replaced(name: str) -> None:
    """Applications put functions that do nothing in their place."""
    with mock.patch.object(servers, name, return_value="replaced"):
        assert getattr(servers, name)() == "replaced"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("handler", ["req"]),
        ("setup", ["req"]),
        ("send_response", ["req", "200 OK", [], b""]),
        ("popen", ["apache -v"]),
        ("read_process", ["apache", "-v"]),
        ("ModPythonServer", []),
    ],
)
def test_the_gateway_of_mod_python_says_what_became_of_it(name: str, arguments: list[Any]) -> None:
    """Its name, why it is dead, what to use instead."""
    with pytest.raises(NotImplementedError, match=rf"{name}.* Apache retired mod_python in 2010. Let cherrypy.server"):
        getattr(cherrypy._cpmodpy, name)(*arguments)


@pytest.mark.parametrize("name", ["cpmodpy", "modpygw", "modwsgi", "modfcgid", "modfastcgi"])
def test_the_supervisors_of_old_apache_modules_say_what_became_of_them(name: str) -> None:
    """And what to test with."""
    helper = importlib.import_module("cherrypy.test.helper")

    with pytest.raises(NotImplementedError, match=f"get_{name}_supervisor.*default_server = 'wsgi'"):
        getattr(helper, f"get_{name}_supervisor")(host="127.0.0.1", port=0)


@pytest.mark.parametrize("name", ["FlupCGIServer", "FlupFCGIServer", "FlupSCGIServer"])
def test_the_flup_servers_say_what_they_need(name: str) -> None:
    """Their construction keeps what they are given; without the package the start fails, and says so."""
    server = getattr(servers, name)(application=None, bindAddress=("127.0.0.1", 0))
    with mock.patch.dict(sys.modules, {"flup": None}), pytest.raises(ImportError, match=f"{name} needs .*flup"):
        server.start()

    server.stop()
    assert server.ready is False
    assert server.kwargs["bindAddress"] == ("127.0.0.1", 0)
