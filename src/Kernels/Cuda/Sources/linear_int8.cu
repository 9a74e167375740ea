// Dense product of INT8 weights with one scale an output; see linear.cuh. A chunk's sum is scaled before it is added.
#include "linear.cuh"

KREWE_EARLY_KERNEL(linear_int8_rows_8, LinearArguments, 128, 4) { linear_rows<1, 1, 4, true>(args); }
KREWE_EARLY_KERNEL(linear_int8_rows_16, LinearArguments, 128, 4) { linear_rows<2, 1, 4, true>(args); }
KREWE_EARLY_KERNEL(linear_int8_rows_32, LinearArguments, 128, 4) { linear_rows<4, 1, 4, true>(args); }
KREWE_EARLY_KERNEL(linear_int8_rows_64, LinearArguments, 128, 2) { linear_rows<8, 2, 2, true>(args); }

KREWE_KERNEL(linear_int8_tiled, LinearArguments, 256)
{
    __shared__ uint4 shared[TILE_STAGES * TILE_STAGE_BYTES / 16];
    linear_tiled<true, false>(args, (char*)shared);
}

KREWE_KERNEL(linear_int8_tiled_chunked, LinearArguments, 256)
{
    __shared__ uint4 shared[TILE_STAGES * TILE_STAGE_BYTES / 16];
    linear_tiled<true, true>(args, (char*)shared);
}
