"""`python -m theory.mutate`: break the code of theory and library in many small ways; a check or test notices each.

A mutant is one edit of one line: a comparison, sign, constant or branch changed, an operand or statement dropped. It
runs in a process of its own: first the theorems' checks on a few instances, then the tests of its module. Of the
library its formulas are broken; what hands them to trainers is tested by training. Mutants that change nothing are
listed in `mutants.toml` with the reason. Own code, because mutmut and cosmic-ray run tests alone and have no edits for
tolerances and `np.where`. Writes `<out>/theory/mutants.json`; exit status: 0 iff none is alive, 1 otherwise, 2 on bad
input or where the code fails before any edit.
"""

from __future__ import annotations

import ast
import copy
import importlib
import importlib.util
import multiprocessing
import os
import random
import resource
import sys
import time
import tomllib
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import CodeType
from typing import Any

import hypothesis
import numpy as np
import pytest
import scipy.integrate
import scipy.special  # noqa: F401  (imported once here, so that every forked child has it)
from tqdm import tqdm

from repro.files import write_json
from repro.manifest import ROOT, manifest
from theory.verify import Parser, at_least, cores

SAMPLE = 8  # mutants of each module, beside those that `mutants.toml` names
INSTANCES = 300  # of each theorem's check
# A mutant hangs after this much processor time (not wall time: the machine may be busy): seconds, and times what the
# module as it is takes.
CPU_LIMIT, CPU_FACTOR = 15, 3
MEMORY_LIMIT = 8 * 2**30
LIST = Path(__file__).with_name("mutants.toml")


@dataclass(frozen=True)
class Target:
    """A module to be broken, and what should notice: modules with a `THEOREM`, and test files."""

    module: str
    path: Path
    checks: tuple[str, ...]
    tests: tuple[Path, ...]


def _target(module: str, theorems: str, *tests: str) -> Target:
    numbers = [int(name[1:]) for name in theorems.split()]
    found = [path for number in numbers for path in sorted((ROOT / "tests/theory").glob(f"test_t{number}_*.py"))]
    found += [ROOT / "tests/theory" / f"test_{name}.py" for name in ("bad_input", *tests)]
    checks = tuple(f"theory.checks.t{number}" for number in numbers)
    return Target(f"theory.{module}", ROOT / "theory" / f"{module}.py", checks, tuple(found))


def _library(module: str, *tests: str) -> Target:
    path = ROOT / "differential_smoothing" / f"{module.replace('.', '/')}.py"
    found = tuple(ROOT / "tests/differential_smoothing" / f"test_{name}.py" for name in tests)
    return Target(f"differential_smoothing.{module}", path, (), found)


TARGETS = {
    "policies": _target("policies", "T4", "policies"),
    "measures": _target("measures", "T5", "measures"),
    "dominance": _target("dominance", "T5 T6"),
    "flows": _target("flows", "T3"),
    "groups": _target("groups", "T1 T2"),
    "heuristics": _target("heuristics", "T7"),
    "iteration": _target("iteration", "T8"),
    "sampled": _target("sampled", "T10"),
    "shaping": _target("shaping", "T3 T10"),
    "simulation": _target("simulation", "T10"),
    "strategies": _target("strategies", "T9"),
    "weights": _target("weights", "T11"),
    "utility": _target("utility", "T12"),
    "firstorder": _target("firstorder", "T13"),
    "library.smoothing": _library("smoothing", "smoothing"),
    "library.rollouts": _library("rollouts", "smoothing", "baselines"),
    "library.correctness": _library("correctness", "correctness"),
    "library.passk": _library("passk", "passk"),
    "library.advantages.groups": _library("advantages.groups", "baselines"),
    "library.advantages.passk": _library("advantages.passk", "baselines"),
    "library.advantages.reinforce": _library("advantages.reinforce", "baselines"),
    "library.advantages.reweighted": _library("advantages.reweighted", "baselines"),
    "library.methods.answers": _library("methods.answers", "baselines"),
    "library.methods.diversity": _library("methods.diversity", "baselines"),
    "library.methods.entropy": _library("methods.entropy", "baselines"),
    "library.methods.logprob": _library("methods.logprob", "smoothing", "methods"),
    "library.methods.preference": _library("methods.preference", "preference"),
    "library.methods.reweighted": _library("methods.reweighted", "baselines"),
    "library.methods.tokens": _library("methods.tokens", "tokens"),
    "library.methods.ucpo": _library("methods.ucpo", "baselines"),
    "library.training.metrics": _library("training.metrics", "metrics"),
    "library.training.answer_counts": _library("training.answer_counts", "answer_counts"),
    "library.training.replay": _library("training.replay", "replay"),
    "library.training.resampling": _library("training.resampling", "replay"),
}


# ── Edits ───────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Mutant:
    """One edit: bytes `start`..`end` of the module's source become `code`.

    function: the enclosing function, empty at module level. number, line: the source line's number and text.
    mutation: `old → new`.
    """

    module: str
    function: str
    number: int
    line: str
    mutation: str
    start: int
    end: int
    code: str

    def __str__(self) -> str:
        return f"{self.module.replace('.', '/')}.py:{self.number}  {self.mutation}"

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What an entry of `mutants.toml` names."""
        return self.module, self.function, self.line, self.mutation

    def apply(self, source: str) -> str:
        """The source with this edit."""
        raw = source.encode()
        return (raw[: self.start] + self.code.encode() + raw[self.end :]).decode()


COMPARE: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
}
ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
OPPOSITE = {"maximum": "minimum", "minimum": "maximum", "max": "min", "min": "max", "any": "all", "all": "any"}
LAYOUT = {"axis", "keepdims", "dtype", "strict"}  # arguments of which another value only crashes


def _constant(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, float) and 0 < value < 1e-3:  # a tolerance
        yield from (1e-2, 0.0)
    elif isinstance(value, int | float):
        yield value + 1


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    """The expressions that take the place of `node`."""
    match node:
        case ast.Compare():
            for place, op in enumerate(node.ops):
                for other in COMPARE.get(type(op), ()):
                    ops = [*node.ops[:place], other(), *node.ops[place + 1 :]]
                    yield ast.Compare(node.left, ops, node.comparators)
        case ast.BinOp():
            if type(node.op) in ARITHMETIC:
                yield ast.BinOp(node.left, ARITHMETIC[type(node.op)](), node.right)
            yield from (node.left, node.right)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp():
            yield node.operand
        case ast.Constant():
            yield from (ast.Constant(value) for value in _constant(node.value))
        case ast.Call(func=ast.Attribute(attr="where"), args=[condition, first, second]):
            branches = [(second, first)]
            branches += [(ast.BinOp(ast.Constant(0), ast.Mult(), first), second)]
            branches += [(first, ast.BinOp(ast.Constant(0), ast.Mult(), second))]
            yield from (ast.Call(node.func, [condition, *pair], node.keywords) for pair in branches)
        case ast.Call(func=ast.Attribute(attr=name)) if name in OPPOSITE:
            func = copy.copy(node.func)
            func.attr = OPPOSITE[name]  # type: ignore[attr-defined]
            yield ast.Call(func, node.args, node.keywords)
        case ast.Call(func=ast.Name(id=name)) if name in OPPOSITE:
            yield ast.Call(ast.Name(OPPOSITE[name]), node.args, node.keywords)
        case ast.IfExp():
            yield from (node.body, node.orelse)


def _droppable(node: ast.stmt, assigned: set[str]) -> bool:
    """Whether the function still has all its names without this statement (else the mutant only crashes)."""
    match node:
        case ast.Expr(value=ast.Constant()):
            return False  # a docstring
        case ast.Assign(targets=targets):
            names = {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
            return names <= assigned
        case ast.Expr() | ast.AugAssign() | ast.Raise() | ast.Break():
            return True
    return False


class _Finder(ast.NodeVisitor):
    """Collects the mutants of a module in the order of its source."""

    def __init__(self, module: str, source: str) -> None:
        self.module, self.lines = module, source.splitlines()
        self.starts = np.cumsum([0, *(len(line.encode()) for line in source.splitlines(keepends=True))]).tolist()
        self.functions: list[str] = []
        self.assigned: set[str] = set()
        self.first_argument: str | None = None
        self.found: list[Mutant] = []

    def add(self, node: ast.expr | ast.stmt, code: str, shown: str | None = None) -> None:
        """Take note of the edit that puts `code` in the place of `node`."""
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        start = self.starts[node.lineno - 1] + node.col_offset
        end = self.starts[node.end_lineno - 1] + node.end_col_offset
        mutation = f"{ast.unparse(node)} → {shown or code}"
        line = self.lines[node.lineno - 1].strip()
        function = ".".join(self.functions)
        self.found.append(Mutant(self.module, function, node.lineno, line, mutation, start, end, code))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Its body alone, with its own names: no annotations, defaults do count."""
        outer = self.assigned, self.first_argument
        arguments = [argument.arg for argument in (*node.args.args, *node.args.kwonlyargs)]
        self.assigned = {*self.assigned, *arguments}
        self.first_argument = next((name for name in arguments if name != "self"), None)
        self.functions.append(node.name)
        for part in (*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body):
            self.visit(part)
        self.functions.pop()
        self.assigned, self.first_argument = outer

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        """Its body, without bases and decorators."""
        self.functions.append(node.name)
        for part in node.body:
            self.visit(part)
        self.functions.pop()

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        """The value, not the annotation."""
        if node.value is not None:
            self.visit(node.value)

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Nothing: what a message says is no theory."""

    def visit_keyword(self, node: ast.keyword) -> None:
        """Values that are more than layout."""
        if node.arg not in LAYOUT:
            self.visit(node.value)

    def generic_visit(self, node: ast.AST) -> None:
        """The edits of the node itself, then those of its parts."""
        in_function = bool(self.functions)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and not in_function:
            return  # a type alias
        if isinstance(node, ast.expr):
            for new in _expressions(node):
                shown = ast.unparse(new)
                self.add(node, shown if shown.isidentifier() else f"({shown})", shown)
        if isinstance(node, ast.stmt) and in_function and _droppable(node, self.assigned):
            self.add(node, "pass")
        if isinstance(node, ast.Return) and node.value is not None and self.first_argument:
            self.add(node.value, self.first_argument)
        super().generic_visit(node)
        if isinstance(node, ast.Assign):
            self.assigned |= {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}


def mutants(module: str, source: str) -> list[Mutant]:
    """All mutants of a module's source, in its order; edits that give the same text count once.

    Of several like edits in one line, the second says `(2)` and so on, so that every key names one mutant.
    """
    finder = _Finder(module, source)
    finder.visit(ast.parse(source))
    distinct = {(found.start, found.end, found.code): found for found in finder.found}
    changes = [found for found in distinct.values() if found.apply(source) != source]
    seen: Counter[tuple[str, str, str, str]] = Counter()
    for place, found in enumerate(changes):
        seen[found.key] += 1
        if seen[found.key] > 1:
            changes[place] = replace(found, mutation=f"{found.mutation} ({seen[found.key]})")
    return changes


# ── The list: mutants that are equivalent, and mutants that always run ──────────────────────────────────────────


@dataclass(frozen=True)
class Listed:
    """`mutants.toml`. equivalent: keys of mutants that change no result, with the reason. always: they always run."""

    equivalent: dict[tuple[str, str, str, str], str]
    always: frozenset[tuple[str, str, str, str]]


def read_list(path: Path, known: dict[str, list[Mutant]]) -> Listed:
    """Read the list; ValueError for an entry that no mutant of the modules in `known` has, or without a reason."""
    keys = {found.key for each in known.values() for found in each}
    equivalent: dict[tuple[str, str, str, str], str] = {}
    always = set()
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    for kind in ("equivalent", "always"):
        for entry in data.get(kind, []):
            if lacks := {"module", "function", "line", "mutation"} - entry.keys():
                raise ValueError(f"{path.name}: {entry} lacks {', '.join(sorted(lacks))}")
            key = (entry["module"], entry["function"], entry["line"], entry["mutation"])
            if key[0] in known and key not in keys:
                raise ValueError(f"{path.name}: no mutant {' | '.join(key)}; mend or delete this {kind} entry")
            if kind == "always":
                always.add(key)
            elif not entry.get("reason"):
                raise ValueError(f"{path.name}: {' | '.join(key)} has no reason")
            else:
                equivalent[key] = entry["reason"]
    return Listed(equivalent, frozenset(always))


def choose(known: list[Mutant], sample: int, seed: int, listed: Listed) -> list[Mutant]:
    """`sample` of the mutants by `seed`, and those that always run, in the order of the source."""

    def rank(found: Mutant) -> float:
        """A number of the mutant's own, so that an edit elsewhere does not draw others."""
        return random.Random(f"{seed} {found.key}").random()

    drawn = {found.key for found in sorted(known, key=rank)[:sample]} | listed.always
    return [found for found in known if found.key in drawn]


# ── Running one ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Job:
    """A mutant to be run (None: the module as it is), and after how many seconds of processor time it hangs."""

    target: Target
    mutant: Mutant | None
    limit: int


@dataclass(frozen=True)
class Fate:
    """What became of a mutant. noticed_by: the fact or test that failed, or None while it is alive.

    seconds: of processor time.
    """

    job: Job
    noticed_by: str | None
    seconds: float


class _Edited(SourceFileLoader):
    """Loads a module from an edited source."""

    def __init__(self, module: str, path: Path, source: str) -> None:
        super().__init__(module, str(path))
        self.source = source

    def get_code(self, fullname: str) -> CodeType:
        """The edited code; no cached one."""
        return compile(self.source, self.path, "exec", dont_inherit=True)


class _InPlace(MetaPathFinder):
    """Finds the edited module where the real one is asked for."""

    def __init__(self, target: Target, source: str) -> None:
        self.target, self.source = target, source

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        """Called by every import."""
        if fullname != self.target.module:
            return None
        loader = _Edited(fullname, self.target.path, self.source)
        return importlib.util.spec_from_file_location(fullname, self.target.path, loader=loader)


def _load(target: Target, source: str) -> None:
    """Import the edited module in place of the real one, and anew all that may hold the real one."""
    package = target.module.partition(".")[0]
    for name in [name for name in sys.modules if name.partition(".")[0] in (package, "theory") and name != "theory"]:
        del sys.modules[name]
    sys.meta_path.insert(0, _InPlace(target, source))
    importlib.import_module(target.module)


class _FirstFailure:
    """A pytest plugin that keeps the name of the first test that fails."""

    name = "a test file cannot be imported"

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Called by pytest after each phase of a test."""
        if report.failed:
            self.name = report.nodeid


def _noticed(target: Target, source: str) -> str | None:
    """What notices the edited source, in this process; None if nothing does."""
    try:
        _load(target, source)
        for name in target.checks:
            theorem = importlib.import_module(name).THEOREM
            with np.errstate(all="ignore"):
                outcomes = theorem.check(np.random.default_rng(0), INSTANCES)
            for outcome in outcomes:
                if not outcome.holds:
                    return f"{theorem.id}: {outcome.name}"
    except Exception as error:  # whatever it is, the edit was noticed
        return f"{type(error).__name__}: {error}"
    # failing examples of one mutant must not be tried on the next, and need not be made small
    phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
    hypothesis.settings.register_profile("mutate", database=None, derandomize=True, deadline=None, phases=phases)
    hypothesis.settings.load_profile("mutate")
    first = _FirstFailure()
    # tests that a check notices its control break the code themselves
    options = ["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-k", "not notice", "--import-mode=importlib"]
    status = pytest.main([*options, *map(str, target.tests)], plugins=[first])
    return None if status == 0 else first.name


def _child(job: Job, source: str, sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (job.limit, job.limit + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    started = time.process_time()
    noticed_by = _noticed(job.target, source)
    sender.send((noticed_by, time.process_time() - started))
    sender.close()


def run_all(work: list[Job], processes: int) -> Iterator[Fate]:
    """Run the jobs, each in a fork of this process, `processes` at once."""
    context = multiprocessing.get_context("fork")
    waiting = deque(work)
    running: dict[Connection, tuple[BaseProcess, Job]] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            job = waiting.popleft()
            source = job.target.path.read_text(encoding="utf-8")
            receiver, sender = context.Pipe(duplex=False)
            edited = job.mutant.apply(source) if job.mutant else source
            process = context.Process(target=_child, args=(job, edited, sender), daemon=True)
            process.start()
            sender.close()
            running[receiver] = process, job
        for receiver in [found for found in wait(list(running)) if isinstance(found, Connection)]:
            ended, job = running.pop(receiver)
            try:
                noticed_by, seconds = receiver.recv()
            except EOFError:
                noticed_by, seconds = f"killed, or no end after {job.limit} s of processor time", float(job.limit)
            ended.join()
            receiver.close()
            yield Fate(job, noticed_by, seconds)


@dataclass(frozen=True)
class Choice:
    """What a run does: the mutants to be run and the chosen ones that are listed as equivalent."""

    work: list[tuple[Target, Mutant]]
    equivalent: list[Mutant]


def choice(names: list[str], sample: int, seed: int) -> tuple[Choice, Listed]:
    """The chosen mutants of the modules `names`, and the list; ValueError for a list that does not fit the sources."""
    known = {name: mutants(name, TARGETS[name].path.read_text(encoding="utf-8")) for name in names}
    listed = read_list(LIST, known)
    chosen = [(TARGETS[name], found) for name in names for found in choose(known[name], sample, seed, listed)]
    return Choice(
        [(target, found) for target, found in chosen if found.key not in listed.equivalent],
        [found for _, found in chosen if found.key in listed.equivalent],
    ), listed


def limits(names: list[str], processes: int) -> dict[str, int]:
    """By module, the processor seconds after which a mutant hangs; ValueError if a module fails as it is."""
    found = {}
    for fate in run_all([Job(TARGETS[name], None, 600) for name in names], processes):
        if fate.noticed_by:
            raise ValueError(f"{fate.job.target.module} fails as it is ({fate.noticed_by}); mend that first")
        found[fate.job.target.module] = CPU_LIMIT + int(CPU_FACTOR * fate.seconds)
    return found


def fates(work: list[Job], processes: int) -> list[Fate]:
    """Run the mutants with a progress bar on stderr, telling at once which are alive; in the order of `work`."""
    done = []
    slow = 0.1 if sys.stderr.isatty() else 60.0  # a log needs few lines
    with tqdm(total=len(work), unit="mutant", file=sys.stderr, mininterval=slow) as bar:
        for fate in run_all(work, processes):
            bar.update()
            done.append(fate)
            if fate.noticed_by is None:
                tqdm.write(f"alive: {fate.job.mutant}", file=sys.stderr)
    return sorted(done, key=lambda fate: work.index(fate.job))


def main(arguments: list[str] | None = None) -> int:
    """Break, run, print, write; see the module's docstring."""
    parser = Parser(prog="python -m theory.mutate", description="Break the theory's code and see it noticed.")
    parser.add_argument("--only", nargs="+", action="extend", metavar="MODULE", help="modules (default: all)")
    parser.add_argument("--sample", type=at_least(0), default=SAMPLE, help=f"of each module (default {SAMPLE})")
    parser.add_argument("--seed", type=at_least(0), default=0, help="of the choice of mutants (default 0)")
    parser.add_argument("--jobs", type=at_least(1), default=cores(), help="processes (default: the cores there are)")
    parser.add_argument("--list", action="store_true", help="print the chosen mutants, run none")
    parser.add_argument("--out", type=Path, default=Path("build"), help="mutants.json goes to <out>/theory")
    options = parser.parse_args(arguments)
    started = time.time()
    names = list(dict.fromkeys(options.only or TARGETS))
    if any(name.startswith("library.") for name in names) and not options.list:
        importlib.import_module("torch")  # once here, so that every forked child has it
    for name in names:
        if name not in TARGETS:
            parser.error(f"--only {name}: there are {', '.join(TARGETS)}")
    try:
        chosen, listed = choice(names, options.sample, options.seed)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    if options.list:
        print(*(found for _, found in chosen.work), sep="\n")
        print(*(f"{found}  (equivalent)" for found in chosen.equivalent), sep="\n")
        return 0

    try:
        limit = limits(names, options.jobs)
    except ValueError as error:
        parser.error(str(error))
    found = fates([Job(target, mutant, limit[target.module]) for target, mutant in chosen.work], options.jobs)
    alive = sum(fate.noticed_by is None for fate in found)
    result = {
        "mutants": len(found) + len(chosen.equivalent),
        "killed": len(found) - alive,
        "alive": alive,
        "equivalent": len(chosen.equivalent),
        "fates": [
            {**asdict(fate.job.mutant), "noticed_by": fate.noticed_by, "seconds": round(fate.seconds, 1)}
            for fate in found
            if fate.job.mutant
        ],
        "equivalents": [{**asdict(each), "reason": listed.equivalent[each.key]} for each in chosen.equivalent],
    }
    config = {"modules": names, "sample": options.sample, "instances": INSTANCES, "jobs": options.jobs}
    path = options.out / "theory" / "mutants.json"
    try:
        write_json(path, {**result, "manifest": manifest(config, options.seed, started)})
    except OSError as error:
        parser.error(f"--out {options.out}: cannot write {path.name} there ({error.strerror})")
    print(
        f"{result['mutants']} mutants: {result['killed']} killed, {alive} alive, {result['equivalent']} listed as "
        f"equivalent; {time.time() - started:.0f} s; {path}"
    )
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
