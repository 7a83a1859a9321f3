/* shaders/args_bench: push constants of the bench shaders; C and GLSL, as args.h. */
#ifndef G4_SHADERS_ARGS_BENCH_H
#define G4_SHADERS_ARGS_BENCH_H

#include "shaders/args.h"

struct bench_args {
    uint n;
};

#endif
