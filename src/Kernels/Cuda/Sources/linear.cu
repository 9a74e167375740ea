// Dense product of weights in the element format; see linear.cuh for the order of its sums.
#include "linear.cuh"

KREWE_EARLY_KERNEL(linear_rows_8, LinearArguments, 128, 4) { linear_rows<1, 1, 4, false>(args); }
KREWE_EARLY_KERNEL(linear_rows_16, LinearArguments, 128, 4) { linear_rows<2, 1, 4, false>(args); }
KREWE_EARLY_KERNEL(linear_rows_32, LinearArguments, 128, 4) { linear_rows<4, 1, 4, false>(args); }
KREWE_EARLY_KERNEL(linear_rows_64, LinearArguments, 128, 2) { linear_rows<8, 2, 2, false>(args); }

KREWE_KERNEL(linear_tiled, LinearArguments, 256)
{
    __shared__ uint4 shared[TILE_STAGES * TILE_STAGE_BYTES / 16];
    linear_tiled<false, false>(args, (char*)shared);
}

KREWE_KERNEL(linear_tiled_chunked, LinearArguments, 256)
{
    __shared__ uint4 shared[TILE_STAGES * TILE_STAGE_BYTES / 16];
    linear_tiled<false, true>(args, (char*)shared);
}
