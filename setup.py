"""Build of the one extension module, fastconv._core; everything else is in pyproject.toml.

Environment variables that the build reads:

FASTCONV_NO_OPENMP=1   build the serial version, also where the compiler has OpenMP
FASTCONV_CFLAGS        further compiler flags, after all others (sanitizers, -Werror)
FASTCONV_LDFLAGS       further linker flags, after all others
"""

import os
import shlex
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path

import numpy as np
from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, LinkError

# gnu11, not c11: with -std=c11 GCC contracts no multiply and add into one FMA. No -march and
# no -ffast-math: kernels carry their own target pragmas, and NaN and infinities have to survive.
# -g0 undoes CPython's own -g, which would multiply the size of the wheel.
GNU_CFLAGS = ["-std=gnu11", "-O2", "-fno-math-errno", "-fvisibility=hidden", "-g0"]
MSVC_CFLAGS = ["/std:c11", "/O2"]

# Compiler and linker flags, tried in this order. MSVC is not in the list and builds serially:
# its OpenMP 2.0 lacks what the drivers use.
OPENMP_FLAGS = [
    (["-fopenmp"], ["-fopenmp"]),
    (["-Xpreprocessor", "-fopenmp"], ["-lomp"]),  # Apple's clang with a libomp beside it
]
SERIAL_FLAGS = (["-Wno-unknown-pragmas"], [])
OPENMP_PROBE = """
#include <omp.h>
int main(void)
{
    int n = 0;
#pragma omp parallel reduction(+ : n)
    n += omp_get_num_threads();
    return n == 0;
}
"""


class BuildExt(build_ext):
    """Chooses flags by what the compiler can do and compiles the sources side by side."""

    def build_extensions(self):
        msvc = self.compiler.compiler_type == "msvc"
        cflags, ldflags = (MSVC_CFLAGS, []) if msvc else (GNU_CFLAGS, [])
        # The names of static functions are 2 % of the wheel; who asks for flags looks at them.
        if sys.platform == "linux" and not environment_flags("FASTCONV_CFLAGS"):
            ldflags = ["-Wl,--strip-all"]
        openmp = ([], []) if msvc else self.probe_openmp()
        for ext in self.extensions:
            ext.extra_compile_args = [*cflags, *openmp[0], *environment_flags("FASTCONV_CFLAGS")]
            ext.extra_link_args = [*ldflags, *openmp[1], *environment_flags("FASTCONV_LDFLAGS")]
        if not msvc:
            compile_in_parallel(self.compiler)
        super().build_extensions()

    def probe_openmp(self):
        if os.environ.get("FASTCONV_NO_OPENMP", "0") not in ("", "0"):
            print("fastconv: serial build, FASTCONV_NO_OPENMP is set")
            return SERIAL_FLAGS
        for cflags, ldflags in OPENMP_FLAGS:
            if self.links(OPENMP_PROBE, cflags, ldflags):
                print(f"fastconv: OpenMP through {' '.join(cflags)}")
                return cflags, ldflags
        print("fastconv: serial build, the compiler has no OpenMP")
        return SERIAL_FLAGS

    def links(self, program, cflags, ldflags):
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder, "probe.c")
            source.write_text(program)
            try:
                objects = self.compiler.compile(
                    [str(source)], output_dir=folder, extra_postargs=cflags
                )
                self.compiler.link_executable(
                    objects, str(Path(folder, "probe")), extra_postargs=ldflags
                )
            except (CompileError, LinkError):
                return False
        return True


def compile_in_parallel(compiler):
    """Make ``compiler.compile`` use every core: setuptools does so for extensions, not sources."""

    def compile_sources(
        sources,
        output_dir=None,
        macros=None,
        include_dirs=None,
        debug=0,
        extra_preargs=None,
        extra_postargs=None,
        depends=None,
    ):
        macros, objects, extra_postargs, pp_opts, build = compiler._setup_compile(
            output_dir, macros, include_dirs, sources, depends, extra_postargs
        )
        cc_args = compiler._get_cc_args(pp_opts, debug, extra_preargs)

        def compile_one(item):
            target, (source, extension) = item
            compiler._compile(target, source, extension, cc_args, extra_postargs, pp_opts)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(compile_one, build.items()))
        return objects

    compiler.compile = compile_sources


def environment_flags(name):
    return shlex.split(os.environ.get(name, ""))


def sources(pattern):
    return sorted(glob(pattern, recursive=True))


core = Extension(
    "fastconv._core",
    ["src/fastconv/_core.pyx", *sources("csrc/*/*.c")],
    include_dirs=["csrc", np.get_include()],
    depends=sources("csrc/**/*.h") + sources("csrc/**/*.inc"),
    define_macros=[("NPY_NO_DEPRECATED_API", "NPY_2_0_API_VERSION")],
)

setup(
    ext_modules=cythonize(
        [core],
        build_dir="build/cython",
        compiler_directives={"language_level": 3, "binding": True},
    ),
    cmdclass={"build_ext": BuildExt},
)
