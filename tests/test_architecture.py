"""The rules of CONTRIBUTING.md about who may know whom, checked on the text of the sources.

Two more rules need a compiler: how much machine code a level may have, and that the accumulators
of the dense kernels stay in registers.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CSRC = ROOT / "csrc"
PACKAGE = ROOT / "src" / "fastconv"

C_FILES = sorted(p for p in CSRC.rglob("*") if p.suffix in (".c", ".h", ".inc"))
PYTHON_FILES = sorted(PACKAGE.rglob("*.py"))
SUFFIXES = [".c", ".h", ".inc", ".py", ".pyi", ".pyx", ".pxi", ".md", ".sh", ".toml", ".yaml"]
ALL_FILES = sorted(
    path
    for folder in (".ci", "benchmarks", "csrc", "docs", "examples", "src", "tests", "tools", "")
    for path in (ROOT / folder).glob("**/*" if folder else "*")
    if path.suffix in SUFFIXES
)

# What the files of each folder of csrc may include, after the layers of CONTRIBUTING.md.
MAY_INCLUDE = {
    "fastconv.h": set(),
    "base": {"fastconv.h", "base"},
    "simd": {"simd"},
    "kernels": {"simd", "kernels"},
    "ops": {"fastconv.h", "base", "simd", "kernels", "ops"},
    "plan": {"fastconv.h", "base", "simd", "kernels", "ops", "plan"},
    "graph": {"fastconv.h", "base"},
}

# A file this long does more than one thing, unless it is here with its reason.
MAX_LINES = 600
LONG_FILES = {}


def name(path):
    return path.relative_to(ROOT).as_posix()


def layer(path):
    return path.relative_to(CSRC).parts[0]


def code(path):
    """The C code of a file without its comments and strings, so that prose may name anything."""
    text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", path.read_text(), flags=re.DOTALL)
    return re.sub(r'(?m)^(\s*#\s*include\s*".*")|"(?:\\.|[^"\\])*"', r"\1", text)


def includes(path):
    """The files of ours that a file includes, found as the compiler finds them."""
    for target in re.findall(r'(?m)^\s*#\s*include\s*"(.+)"', code(path)):
        found = [folder / target for folder in (path.parent, CSRC) if (folder / target).exists()]
        assert found, f"{name(path)} includes {target}, which does not exist"
        yield found[0].resolve()


def users(pattern):
    """The layers and files of csrc whose code matches."""
    return {(layer(path), path.name) for path in C_FILES if re.search(pattern, code(path))}


@pytest.mark.parametrize("path", C_FILES, ids=name)
def test_includes_point_up(path):
    for target in includes(path):
        assert layer(target) in MAY_INCLUDE[layer(path)], f"{name(path)} includes {name(target)}"
        if target.suffix == ".inc":
            assert layer(path) == "kernels", f"{name(path)} includes a kernel's body"


@pytest.mark.parametrize("path", [p for p in C_FILES if layer(p) == "kernels"], ids=name)
def test_kernels_do_not_reach_the_api(path):
    seen, ahead = set(), [path]
    while ahead:
        file = ahead.pop()
        if file not in seen:
            seen.add(file)
            ahead.extend(includes(file))
    assert CSRC / "fastconv.h" not in seen


def test_the_api_includes_standard_headers_alone():
    assert set(re.findall(r"#include (.*)", code(CSRC / "fastconv.h"))) <= {
        "<stdbool.h>",
        "<stddef.h>",
        "<stdint.h>",
    }


def test_memory_is_taken_in_base_alone():
    takes = r"\b(malloc|calloc|realloc|aligned_alloc|posix_memalign|_aligned_malloc|mmap)\s*\("
    assert {where for where, _ in users(takes)} <= {"base"}


def test_openmp_regions_stand_in_drivers_alone():
    assert {where for where, _ in users(r"#\s*pragma\s+omp|_Pragma\(.*omp")} <= {"ops"}
    assert not {file for where, file in users(r"\bomp_\w+|\bomp\.h\b") if where == "kernels"}


def test_drivers_and_plan_name_no_instruction_set():
    isa = r"(?i)\b(avx\w*|sse\d?\w*|neon|fma|_mm\d*_\w+|__m\d+\w*|immintrin\.h|arm_neon\.h)\b"
    assert not {file for where, file in users(isa) if where in ("ops", "plan")}


def test_the_compilers_own_isa_macros_are_not_asked():
    """Clang's target regions do not define __AVX2__ and its kin: only FC_VEC_... tells."""
    assert not users(r"\b__(AVX\w*|FMA|F16C|SSE\w*)__\b")


@pytest.mark.parametrize("path", [p for p in C_FILES if layer(p) == "ops"], ids=name)
def test_drivers_know_no_algorithm_of_others(path):
    algorithms = r"\bstruct fc_algorithm (\w+)"
    known = {found for file in C_FILES for found in re.findall(algorithms, code(file))}
    own = set(re.findall(algorithms, code(path)))
    assert known & set(re.findall(r"\w+", code(path))) <= own


def module(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module(path): path for path in PYTHON_FILES} | {"fastconv._core": PACKAGE / "_core.pyx"}


def imports(path):
    """Every module that a file imports, wherever in the file it does so."""
    package = module(path).split(".")[: None if path.name == "__init__.py" else -1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *(node.module or "").split(".")]).strip(".")
            for alias in node.names:
                inner = f"{source}.{alias.name}"
                yield inner if inner in MODULES else source


GRAPH = {module(path): set(imports(path)) for path in PYTHON_FILES}


def reachable(start):
    seen, ahead = set(), [start]
    while ahead:
        for target in GRAPH.get(ahead.pop(), set()) - seen:
            seen.add(target)
            ahead.append(target)
    return seen


def test_python_modules_import_in_one_direction():
    assert not [start for start in GRAPH if start != "fastconv" and start in reachable(start)]


def test_the_oracle_is_independent_of_the_kernels():
    """Of the modules it reaches, only ``fastconv`` itself would lead to them."""
    assert not {"fastconv", "fastconv._core"} & reachable("fastconv.reference")


# What parts of the package that few programs need may import beside numpy, where they use it.
EXTRAS = {
    "fastconv.bench": {"matplotlib", "ncnn", "onnx", "onnxruntime", "openvino", "rich", "torch"},
    "fastconv.graph.report": {"matplotlib"},
    "fastconv.models": {"safetensors"},
    "fastconv.onnx": {"google", "onnx"},
    "fastconv.pretrained": {"PIL", "rich"},
}


def test_the_package_needs_numpy_alone():
    own = {"fastconv", "numpy", *sys.stdlib_module_names}
    for path in PYTHON_FILES:
        extras = [packages for part, packages in EXTRAS.items() if module(path).startswith(part)]
        assert {target.split(".")[0] for target in imports(path)} <= own.union(*extras), name(path)


def test_only_the_command_line_imports_the_benchmark():
    for start, targets in GRAPH.items():
        if not start.startswith(("fastconv.bench", "fastconv.__main__")):
            assert not [t for t in targets if t.startswith("fastconv.bench")], start


FRONT_ENDS = ("fastconv.models", "fastconv.onnx", "fastconv.pretrained")
COMPILER = {f"fastconv.graph.{name}" for name in ("cache", "compile", "memory", "simplify")}


def belongs(name, *packages):
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def test_front_ends_do_not_know_what_is_compiled():
    assert set(MODULES) >= COMPILER
    fronts = {start: targets for start, targets in GRAPH.items() if belongs(start, *FRONT_ENDS)}
    assert set(FRONT_ENDS) <= set(fronts)
    for start, targets in fronts.items():
        assert not targets & COMPILER, start


def test_graphs_do_not_know_their_front_ends():
    for start, targets in GRAPH.items():
        if belongs(start, "fastconv.graph"):
            assert not [target for target in targets if belongs(target, *FRONT_ENDS)], start


def test_the_binding_imports_no_python_of_ours():
    for path in PACKAGE.glob("_core*.p[yx][xi]"):
        own = r"(?m)^\s*(?:from\s+(?:fastconv|\.)|import\s+fastconv).*"
        assert not re.findall(own, path.read_text()), path.name


def test_import_loads_numpy_alone():
    program = (
        "import sys, numpy; before = set(sys.modules); import fastconv;"
        "new = set(sys.modules) - before;"
        "print(*{name.split('.')[0] for name in new}, 'fastconv.bench' in new)"
    )
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    *loaded, bench = run.stdout.split()
    # Cython registers the modules that hold its own run time.
    others = {name for name in loaded if not re.fullmatch("_?cython_.*", name)}
    assert others <= {"fastconv", "numpy", *sys.stdlib_module_names}
    assert bench == "False"


@pytest.mark.parametrize("path", ALL_FILES, ids=name)
def test_files_are_short_and_finished(path):
    text = path.read_text()
    if name(path) not in LONG_FILES:
        assert text.count("\n") <= MAX_LINES, f"{name(path)} is long; split it or give the reason"
    unfinished = r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b|^\s*#\s*if 0\b"
    assert not re.findall(unfinished, text, re.MULTILINE)
    assert not re.findall(r"(?<![\w.$}])/(?:ho" r"me|ro" r"ot|wo" r"rk|Us" r"ers)/\w+", text)


# --- What the compiler makes of the kernels ---------------------------------------------------

TEXT_LIMIT = 150_000
# Vectors of output channels in a dense tile and, where there is one, in the narrow tile.
LEVELS = {"generic": {}, "avx2": {"dense": 2}, "avx512": {"dense": 2, "narrow": 1}}
TOOLS = ("cc", "nm", "objdump")


@pytest.fixture(scope="module")
def isa_object(tmp_path_factory):
    """Return the function that compiles csrc/kernels/isa_<level>.c with the flags of setup.py."""
    machine = (
        subprocess.run(["cc", "-dumpmachine"], capture_output=True, text=True, check=True).stdout
        if all(map(shutil.which, TOOLS))
        else ""
    )
    if not machine.startswith("x86_64"):
        pytest.skip("skip-listed: needs binutils and a GNU-like compiler for x86-64")
    tree = ast.parse((ROOT / "setup.py").read_text())
    flags = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "GNU_CFLAGS"
    )
    folder = tmp_path_factory.mktemp("isa")

    def compiled(level):
        target = folder / f"{level}.o"
        if not target.exists():
            source = CSRC / "kernels" / f"isa_{level}.c"
            command = ["cc", *flags, "-fPIC", f"-I{CSRC}", "-c", source, "-o", target]
            subprocess.run(command, check=True)
        return target

    return compiled


@pytest.mark.slow
@pytest.mark.parametrize("isa", LEVELS)
def test_machine_code_stays_small(isa_object, isa):
    """At most 150 KB of text for each level and dtype; a function's suffix names its dtype."""
    table = subprocess.run(
        ["nm", "--print-size", isa_object(isa)], capture_output=True, text=True, check=True
    )
    sizes = Counter()
    for size, symbol in re.findall(r"(?m)^\w+ (\w+) [tT] (\S+)$", table.stdout):
        dtype = re.search(r"_([fiu](?:8|16|32|64))(?:\.|$)", symbol)
        sizes[dtype[1] if dtype else "shared"] += int(size, 16)
    assert sizes, "no functions found"
    print({dtype: f"{size / 1000:.1f} KB" for dtype, size in sorted(sizes.items())})
    assert max(sizes.values()) <= TEXT_LIMIT, sizes


def functions(path):
    """Name -> list of (address, instruction) from a disassembly."""
    listing = subprocess.run(
        ["objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True
    ).stdout
    result, current = defaultdict(list), None
    for line in listing.splitlines():
        if head := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            current = result[head[1]]
        elif body := re.match(r"\s*([0-9a-f]+):\s+(.*)", line):
            current.append((int(body[1], 16), body[2]))
    return result


def innermost_loops(body):
    """The instructions of each loop that holds no other, by its jump backwards."""
    spans = []
    for address, instruction in body:
        jump = re.match(r"j\w+\s+([0-9a-f]+)", instruction)
        if jump and body[0][0] <= int(jump[1], 16) <= address:
            spans.append((int(jump[1], 16), address))
    for begin, end in spans:
        if not any(begin <= b and e <= end and (b, e) != (begin, end) for b, e in spans):
            yield [text for address, text in body if begin <= address <= end]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("isa", [level for level, vectors in LEVELS.items() if vectors])
def test_accumulators_stay_in_registers(isa_object, isa, dtype):
    """No loop that multiplies and adds touches the stack: dense tiles, lines, depthwise 3 x 3."""
    bodies = functions(isa_object(isa))
    tiles = {
        symbol: int(tile[2]) * int(tile[3]) * LEVELS[isa][tile[1]]
        for symbol in bodies
        if (tile := re.fullmatch(rf"(dense|narrow)_(\d+)x(\d+)_{dtype}", symbol))
    }
    tiles[f"line_{dtype}"] = 8  # in its smallest loop
    tiles[f"dw_rows_{dtype}"] = 12  # in that for 3 rows
    tiles[f"dw_3x3_{dtype}"] = 9  # of 5 x 5 the weights alone are more than the registers
    assert len(tiles) > 1, "no dense kernels found"
    spilling = []
    for symbol, accumulators in tiles.items():
        loops = [
            loop
            for loop in innermost_loops(bodies[symbol])
            if sum("vfmadd" in text for text in loop) >= accumulators
        ]
        assert loops, f"{symbol} has no loop with {accumulators} multiply-adds"
        spilling += [symbol for loop in loops if any("%rsp" in text for text in loop)]
    assert not spilling
