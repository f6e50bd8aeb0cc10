/* The kernels of every level that this CPU has, through the C API alone, against the definition in
 * plain loops.  Runs where there is no Python: under emulators and sanitizers.
 *
 * Usage: test_kernels [-v] [LEVEL [COUNT]].  Prints 'N passed, N failed'; -v names each test before
 * it runs, a level is the only one that is tested then, on COUNT random problems of each dtype. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness.h"

int main(int argc, char **argv)
{
    fc_error error;
    verbose = argc > 1 && strcmp(argv[1], "-v") == 0;
    if (fc_init(&error) ||
        (argc > 1 + verbose && fc_level_find(argv[1 + verbose], &only_level, &error))) {
        puts(error.message);
        return 2;
    }
    if (argc > 2 + verbose)
        random_problems = atoi(argv[2 + verbose]);
    for (int dtype = 0; dtype < FC_DTYPE_COUNT; dtype++) {
        if (dtype <= FC_FLOAT64) {
            test_memory((fc_dtype)dtype);
            test_activation((fc_dtype)dtype);
            test_conv((fc_dtype)dtype);
            test_grad_weight((fc_dtype)dtype);
            test_local((fc_dtype)dtype);
            test_graph((fc_dtype)dtype);
        }
        test_pool((fc_dtype)dtype);
    }
    test_threads();
    return report();
}
