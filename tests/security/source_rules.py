"""What no line of the program may do, found in its syntax trees.

Ruff's rules ``S`` (bandit) cover some of it: assert S101, exec S102, file modes S103, temporary files S108 and S306,
requests without a timeout S113, archives S202, pickle S301 and S403, marshal S302, eval S307, schemes of URLs S310, XML
S314 to S320, weak hashes S324, certificates S501, YAML S506, shells S602 to S605, templates S701. Each can be silenced
by a comment, and none looks at Keras, NumPy, httpx or addresses. So all of it stands here, once more and without
exceptions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator

# They load programs, run programs, or write files wherever an archive says.
MODULES = frozenset(
    [
        "pickle",
        "cPickle",
        "_pickle",
        "dill",
        "cloudpickle",
        "joblib",
        "shelve",
        "marshal",
        "dbm",
        "jsonpickle",
        "code",
        "codeop",
        "imp",
        "tarfile",
        "zipfile",
        "telnetlib",
        "ftplib",
        "smtplib",
        "xmlrpc",
        "xml",
        "pty",
        "commands",
    ]
)
CALLS = frozenset(
    [
        "eval",
        "exec",
        "compile",
        "__import__",
        "os.system",
        "os.popen",
        "os.execv",
        "os.execve",
        "os.execl",
        "os.spawnl",
        "os.spawnv",
        "os.startfile",
        "subprocess.getoutput",
        "subprocess.getstatusoutput",
        "yaml.load",
        "yaml.load_all",
        "yaml.unsafe_load",
        "yaml.full_load",
        "yaml.unsafe_load_all",
        "yaml.full_load_all",
        "shutil.unpack_archive",
        "tempfile.mktemp",
        "hashlib.md5",
        "hashlib.sha1",
        "ssl._create_unverified_context",
        "logging.config.fileConfig",
        "os.chmod",
        "traceback.print_exc",
        "rich.traceback.install",
        "pl.read_database",
        "pl.read_database_uri",
        "pl.SQLContext",
        "pl.sql",
    ]
)
# Of any object: what it reads, or evaluates, is a program.
METHODS = frozenset(
    ["read_pickle", "to_pickle", "extractall", "extract_all", "enable_unsafe_deserialization", "eval", "query"]
)
# Their default is to wait for ever; httpx waits five seconds.
PATIENT = frozenset(["get", "post", "put", "patch", "delete", "head", "options", "request", "urlopen"])
_FORBIDDEN_ARGUMENTS = {
    "shell": True,
    "verify": False,
    "allow_pickle": True,
    "safe_mode": False,
    "autoescape": False,
    "show_locals": True,
    "tracebacks_show_locals": True,
    "pretty_exceptions_show_locals": True,
    "use_shell": True,
}
_PLAIN = re.compile(r"http://(?!127\.0\.0\.1|localhost|\[::1\]|\{)[\w.-]+")


def faults(source: str) -> list[str]:
    """Return what a module does that it may not, each with its line."""
    tree = ast.parse(source)
    documentation = {id(each) for each in _docstrings(tree)}
    nodes = [node for node in ast.walk(tree) if id(node) not in documentation]
    return [f"line {getattr(node, 'lineno', 0)}: {fault}" for node in nodes for rule in _RULES if (fault := rule(node))]


def _docstrings(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield node.value


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _imports(node: ast.AST) -> str | None:
    if isinstance(node, ast.Import):
        names = [each.name for each in node.names]
    elif isinstance(node, ast.ImportFrom) and not node.level:
        names = [node.module or "", *(f"{node.module}.{each.name}" for each in node.names)]
    else:
        return None
    wrong = [name for name in names if name.partition(".")[0] in MODULES or name in CALLS]
    return f"imports {', '.join(wrong)}" if wrong else None


def _calls(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call):
        return None
    name = _name(node.func)
    if name in CALLS or (isinstance(node.func, ast.Attribute) and node.func.attr in METHODS):
        return f"calls {name or ast.unparse(node.func)}"
    return None


def _arguments(node: ast.AST) -> str | None:
    if not isinstance(node, ast.keyword) or node.arg not in _FORBIDDEN_ARGUMENTS:
        return None
    unsafe = _FORBIDDEN_ARGUMENTS[node.arg]
    # What is not written out might be it.
    is_safe = isinstance(node.value, ast.Constant) and node.value.value is (not unsafe)
    return None if is_safe else f"{node.arg}={ast.unparse(node.value)}"


def _waits(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute | ast.Name):
        return None
    module, _, method = _name(node.func).rpartition(".")
    asks = method in PATIENT and (module in ("requests", "httpx", "urllib.request") or method == "urlopen")
    timeouts = [each.value for each in node.keywords if each.arg == "timeout"]
    if asks and (not timeouts or ast.unparse(timeouts[0]) == "None"):
        return f"{_name(node.func)} without a timeout"
    return None


def _asserts(node: ast.AST) -> str | None:
    return "a check by assert, which python -O leaves out" if isinstance(node, ast.Assert) else None


def _addresses(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and (found := _PLAIN.search(node.value)):
        # Names of XML, not addresses: nobody asks there.
        return None if "www.w3.org" in found[0] else f"an address that is not encrypted: {found[0]}"
    return None


def _templates(node: ast.AST) -> str | None:
    if isinstance(node, ast.Call) and _name(node.func).endswith("Environment"):
        given = {each.arg: ast.unparse(each.value) for each in node.keywords}
        if _name(node.func).startswith("jinja2") and given.get("autoescape") != "True":
            return "templates that do not escape"
    return None


_RULES: tuple[Callable[[ast.AST], str | None], ...] = (
    _imports,
    _calls,
    _arguments,
    _waits,
    _asserts,
    _addresses,
    _templates,
)
