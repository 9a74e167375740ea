// Dense products output = input x weights^T: the arithmetic that linear.cu and linear_int8.cu share.
//
// Order of a sum, whatever the schedule and the number of rows: K is cut into chunks of chunk_inputs; inside a chunk
// groups of 32 inputs ascend, two multiply_tile each, where lane t of a quad holds inputs 8t .. 8t + 7 of the group (the
// same permutation on both sides, so that a lane loads 16 bytes at once); chunks are added in order. linear_rows_* leave
// the chunks side by side for their reader's fold; linear_tiled folds them itself.
//
// Weights are the 16-row operand: a decode step of one row wastes 7 of 8 columns of a tile, not 15 of 16 rows.
#pragma once
#include "krewe.cuh"

struct LinearArguments
{
    const void* weights;    // [outputs x inputs] elements, or int8
    const float* scales;    // [outputs]; int8 only
    const element* input;   // [rows x input_stride], 16-byte aligned rows
    float* output;          // linear_rows: [chunks][rows x output_stride]; linear_tiled: [rows x output_stride]
    int64_t chunk_stride;   // floats from chunk to chunk of the output
    const int* count;       // rows
    int outputs;
    int inputs;             // a multiple of 32; what was added to a model's width is zero on both sides
    int input_stride;
    int output_stride;
    int chunk_inputs;       // a multiple of 32
    int padding;
};

#define LINEAR_GROUP 32
// Groups of weights that linear_rows loads before it computes.
#define LINEAR_AHEAD 4

KREWE_DEVICE uint32_t pack_codes(uint32_t codes, int first)
{
    int8_t low = (int8_t)(codes >> (8 * first)), high = (int8_t)(codes >> (8 * first + 8));
    return pack((float)low, (float)high);
}

// Eight neighbouring weights as elements; whole numbers up to 127 are exact in both formats.
template <bool INT8>
KREWE_DEVICE uint4 load_weights(const void* at)
{
    if (!INT8) return *(const uint4*)at;
    uint2 codes = *(const uint2*)at;
    uint4 words;
    words.x = pack_codes(codes.x, 0);
    words.y = pack_codes(codes.x, 2);
    words.z = pack_codes(codes.y, 0);
    words.w = pack_codes(codes.y, 2);
    return words;
}

// The group of 32 inputs whose weights are r (row g) and s (row g + 8), and inputs x.
KREWE_DEVICE void multiply_group(float* sum, const uint4& r, const uint4& s, const uint4& x)
{
    uint32_t lower[4] = {r.x, s.x, r.y, s.y};
    uint32_t upper[4] = {r.z, s.z, r.w, s.w};
    multiply_tile(sum, lower, x.x, x.y);
    multiply_tile(sum, upper, x.z, x.w);
}

// Few rows: one warp streams 16 outputs of one chunk once, straight into registers. Grid: 64 outputs, chunks, row groups.
template <int ROW_TILES, bool INT8>
KREWE_DEVICE void linear_rows(const LinearArguments& args)
{
    const int weight_bytes = INT8 ? 1 : 2;
    int lane = threadIdx.x % WARP_LANES, g = lane / 4, t = lane % 4;
    int rows = args.count[0];
    int first_row = blockIdx.z * ROW_TILES * 8;
    int first = (blockIdx.x * 4 + threadIdx.x / WARP_LANES) * 16;
    if (first_row >= rows || first >= args.outputs) return;

    // Outputs and rows behind the last are computed from the last one's numbers and dropped.
    const char* weights = (const char*)args.weights;
    int64_t low = min(first + g, args.outputs - 1), high = min(first + g + 8, args.outputs - 1);
    const char* r = weights + (low * args.inputs + 8 * t) * weight_bytes;
    const char* s = weights + (high * args.inputs + 8 * t) * weight_bytes;
    const element* x[ROW_TILES];
    float sum[ROW_TILES][4];
    for (int tile = 0; tile < ROW_TILES; tile++)
    {
        x[tile] = args.input + (int64_t)min(first_row + tile * 8 + g, rows - 1) * args.input_stride + 8 * t;
        for (int i = 0; i < 4; i++) sum[tile][i] = 0;
    }

    int begin = blockIdx.y * args.chunk_inputs;
    int end = min(begin + args.chunk_inputs, args.inputs);
    int k = begin;
    for (; k + LINEAR_AHEAD * LINEAR_GROUP <= end; k += LINEAR_AHEAD * LINEAR_GROUP)
    {
        // All loads first: what is in flight hides the memory's latency.
        uint4 of_r[LINEAR_AHEAD], of_s[LINEAR_AHEAD];
#pragma unroll
        for (int i = 0; i < LINEAR_AHEAD; i++)
        {
            of_r[i] = load_weights<INT8>(r + (int64_t)(k + i * LINEAR_GROUP) * weight_bytes);
            of_s[i] = load_weights<INT8>(s + (int64_t)(k + i * LINEAR_GROUP) * weight_bytes);
        }
#pragma unroll
        for (int i = 0; i < LINEAR_AHEAD; i++)
        {
#pragma unroll
            for (int tile = 0; tile < ROW_TILES; tile++)
                multiply_group(sum[tile], of_r[i], of_s[i], *(const uint4*)(x[tile] + k + i * LINEAR_GROUP));
        }
    }
    for (; k < end; k += LINEAR_GROUP)
    {
        uint4 of_r = load_weights<INT8>(r + (int64_t)k * weight_bytes);
        uint4 of_s = load_weights<INT8>(s + (int64_t)k * weight_bytes);
#pragma unroll
        for (int tile = 0; tile < ROW_TILES; tile++)
            multiply_group(sum[tile], of_r, of_s, *(const uint4*)(x[tile] + k));
    }

    float* output = args.output + blockIdx.y * args.chunk_stride;
    for (int tile = 0; tile < ROW_TILES; tile++)
    {
        for (int i = 0; i < 4; i++)
        {
            int of = first + g + (i >= 2 ? 8 : 0), row = first_row + tile * 8 + 2 * t + (i & 1);
            if (of < args.outputs && row < rows)
                output[(int64_t)row * args.output_stride + of] = INT8 ? sum[tile][i] * args.scales[of] : sum[tile][i];
        }
    }
}

#define TILE_OUTPUTS 128
#define TILE_ROWS 128
#define TILE_STAGES 3
#define TILE_STAGE_BYTES ((TILE_OUTPUTS + TILE_ROWS) * LINEAR_GROUP * 2)

// Starts the copies of one group of inputs for a tile: weights [TILE_OUTPUTS x 32], then inputs [TILE_ROWS x 32].
template <bool INT8>
KREWE_DEVICE void load_group(const LinearArguments& args, char* stage, int first_output, int first_row, int rows, int k)
{
    const int weight_bytes = INT8 ? 1 : 2;
    const int vectors_a_row = LINEAR_GROUP * weight_bytes / 16;
    if (k < args.inputs)
    {
        for (int i = threadIdx.x; i < TILE_OUTPUTS * vectors_a_row; i += blockDim.x)
        {
            int64_t output = min(first_output + i / vectors_a_row, args.outputs - 1);
            copy_async_16(
                stage + i * 16,
                (const char*)args.weights + (output * args.inputs + k) * weight_bytes + i % vectors_a_row * 16);
        }
        for (int i = threadIdx.x; i < TILE_ROWS * 4; i += blockDim.x)
        {
            int64_t row = min(first_row + i / 4, rows - 1);
            copy_async_16(
                stage + TILE_OUTPUTS * LINEAR_GROUP * 2 + i * 16, args.input + row * args.input_stride + k + i % 4 * 8);
        }
    }
    // An empty group too: the wait counts groups.
    copy_async_commit();
}

// Many rows: 8 warps compute 128 outputs x 128 rows, 64 x 32 each, from shared memory. Grid: outputs, rows.
template <bool INT8, bool CHUNKED>
KREWE_DEVICE void linear_tiled(const LinearArguments& args, char* shared)
{
    const int weight_bytes = INT8 ? 1 : 2;
    int lane = threadIdx.x % WARP_LANES, warp = threadIdx.x / WARP_LANES, g = lane / 4, t = lane % 4;
    int rows = args.count[0];
    int first_row = blockIdx.y * TILE_ROWS, first_output = blockIdx.x * TILE_OUTPUTS;
    if (first_row >= rows) return;
    int warp_output = warp / 4 * 64, warp_row = warp % 4 * 32;

    float sum[4][4][4], total[CHUNKED ? 4 : 1][4][4];
    for (int i = 0; i < 64; i++) sum[i / 16][i / 4 % 4][i % 4] = 0;
    bool folded = false;
    for (int stage = 0; stage < TILE_STAGES - 1; stage++)
        load_group<INT8>(args, shared + stage * TILE_STAGE_BYTES, first_output, first_row, rows, stage * LINEAR_GROUP);

    int stage = 0;
    for (int k = 0; k < args.inputs; k += LINEAR_GROUP)
    {
        copy_async_wait<TILE_STAGES - 2>();
        // Everybody's copies have arrived, and everybody has left the stage that is filled next.
        __syncthreads();
        int ahead = (stage + TILE_STAGES - 1) % TILE_STAGES;
        load_group<INT8>(args, shared + ahead * TILE_STAGE_BYTES, first_output, first_row, rows,
                         k + (TILE_STAGES - 1) * LINEAR_GROUP);
        const char* weights = shared + stage * TILE_STAGE_BYTES;
        const char* inputs = weights + TILE_OUTPUTS * LINEAR_GROUP * 2;
        uint4 x[4];
#pragma unroll
        for (int n = 0; n < 4; n++) x[n] = *(const uint4*)(inputs + (warp_row + n * 8 + g) * LINEAR_GROUP * 2 + t * 16);
#pragma unroll
        for (int m = 0; m < 4; m++)
        {
            const char* r = weights + ((warp_output + m * 16 + g) * LINEAR_GROUP + 8 * t) * weight_bytes;
            uint4 of_r = load_weights<INT8>(r);
            uint4 of_s = load_weights<INT8>(r + 8 * LINEAR_GROUP * weight_bytes);
#pragma unroll
            for (int n = 0; n < 4; n++) multiply_group(sum[m][n], of_r, of_s, x[n]);
        }

        stage = (stage + 1) % TILE_STAGES;
        if (!CHUNKED || (k + LINEAR_GROUP < args.inputs && (k + LINEAR_GROUP) % args.chunk_inputs != 0)) continue;
#pragma unroll
        for (int i = 0; i < 64; i++)
        {
            int m = i / 16, n = i / 4 % 4;
            float chunk = sum[m][n][i % 4];
            if (INT8)
                chunk *= args.scales[min(first_output + warp_output + m * 16 + g + (i % 4 >= 2 ? 8 : 0), args.outputs - 1)];
            float& to = total[CHUNKED ? m : 0][n][i % 4];
            to = folded ? to + chunk : chunk;
            sum[m][n][i % 4] = 0;
        }
        folded = true;
    }

#pragma unroll
    for (int i = 0; i < 64; i++)
    {
        int m = i / 16, n = i / 4 % 4;
        int of = first_output + warp_output + m * 16 + g + (i % 4 >= 2 ? 8 : 0);
        int row = first_row + warp_row + n * 8 + 2 * t + (i & 1);
        if (of >= args.outputs || row >= rows) continue;
        float value = CHUNKED ? total[CHUNKED ? m : 0][n][i % 4] : sum[m][n][i % 4];
        if (INT8 && !CHUNKED) value *= args.scales[of];
        args.output[(int64_t)row * args.output_stride + of] = value;
    }
}
